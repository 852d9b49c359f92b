"""KEDA with a request rate from Prometheus.

KEDA's own loop scales between 0 and 1. From 1 to n, KEDA creates an HPA with an external average
value. The rate is that of the last minute, from scrapes every 15 s.
"""

from collections import deque

from modelfleet.simulate.baselines.base import DEFAULT, Peer, Setting, settings
from modelfleet.simulate.baselines.hpa import (
    DOWN_SECONDS,
    SCRAPE_AGE_SECONDS,
    TICK_SECONDS,
    WINDOWS,
    Behavior,
    average_value,
)
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

POLL_SECONDS = 30.0
COOLDOWN_SECONDS = 300.0
RATE_SCRAPES = 4
DEFAULT_TARGET = 0.7
"""A threshold has no default in KEDA; guides advise 70 % of a replica's capacity."""


class Keda:
    """One ScaledObject with its HPA."""

    name = "keda-rate"
    interval_seconds = TICK_SECONDS
    delay_seconds = SCRAPE_AGE_SECONDS
    wake_seconds: float | None = None
    memory_seconds = RATE_SCRAPES * TICK_SECONDS

    def __init__(
        self, service: SimulatedService, target: float, down_seconds: float, least: int
    ) -> None:
        """Set the threshold: `target` times a replica's capacity, k / s requests per second."""
        self._threshold = target * service.capacity_per_second()
        self._behavior = Behavior(down_seconds, max(1, least))
        self._least = least
        self._scrapes: deque[tuple[int, float]] = deque(maxlen=RATE_SCRAPES)
        self._last_active = float("-inf")
        self._next_poll = 0.0

    def decide(self, seen: Observation) -> int:
        """Return the number of the HPA while there are replicas; the poll decides 0 to 1 and back.

        Worked example: 12 requests/s, a replica answers 2/s, target 0.6: 12 / 1.2 = 10.
        """
        self._scrapes.append((seen.arrivals, seen.seconds))
        seconds = sum(length for _, length in self._scrapes)
        rate = sum(count for count, _ in self._scrapes) / max(seconds, 1e-9)
        current = seen.ready + seen.starting
        if seen.now >= self._next_poll:
            self._next_poll = seen.now + POLL_SECONDS - 1e-6
            current = self._poll(seen.now, rate, current)
        if current == 0:
            return 0
        raw = average_value(rate, self._threshold, current)
        return self._behavior.settle(seen.now, current, raw)

    def _poll(self, now: float, rate: float, current: int) -> int:
        if rate > 0:
            self._last_active = now
            return max(current, 1)
        idle = now - self._last_active
        return 0 if self._least == 0 and idle >= COOLDOWN_SECONDS else max(current, self._least)


def _default(service: SimulatedService, least: int) -> Setting:
    label = f"{DEFAULT}target {DEFAULT_TARGET:g}, down {DOWN_SECONDS:g} s"
    return Setting(label, lambda: Keda(service, DEFAULT_TARGET, DOWN_SECONDS, least))


def _grid(service: SimulatedService, least: int) -> list[Setting]:
    return settings(WINDOWS, lambda t, w: Keda(service, t, w, least), "down")


PEER = Peer(Keda.name, _default, _grid)
