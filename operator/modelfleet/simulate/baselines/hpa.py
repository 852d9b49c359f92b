"""HorizontalPodAutoscaler v2 of Kubernetes (pkg/controller/podautoscaler).

The benchmark has two variants. The first uses the utilisation of the slots per pod, capped at all
slots, like CPU or GPU use. The second uses concurrency with the queue as an external average value.
Metrics are scraped every 15 s.
"""

import math
from collections import deque

from modelfleet.simulate.baselines.base import DEFAULT, Peer, Setting, settings
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

TOLERANCE = 0.1
TICK_SECONDS = 15.0
SCRAPE_AGE_SECONDS = 7.5
"""Mean age of a value at its use, with a scrape every 15 s."""
DOWN_SECONDS = 300.0
DEFAULT_TARGET = 0.8
WINDOWS = (DOWN_SECONDS, 60.0)


def per_pod(ratio: float, ready: int, unready: int) -> int:
    """Return the replicas for a metric of each pod; `ratio` is the mean over ready pods / target.

    Worked examples: 4 ready at 1.5 x the target: 6. The same with 4 unready pods: stays at 8. The
    unready ones count as unused, and the ratio 0.75 flips the direction. 4 ready at 3 x, 2 unready:
    ratio 2, so 12. 4 ready at 0.5 x, 2 unready: ceil(0.5 * 4) = 2. Within +-10 %: stays.
    """
    have = ready + unready
    if ready == 0:
        return have
    if unready == 0 or ratio <= 1:
        return have if abs(ratio - 1) <= TOLERANCE else _up(ratio * ready)
    again = ratio * ready / have
    if abs(again - 1) <= TOLERANCE or again < 1:
        return have
    return max(have, _up(again * have))


def average_value(total: float, target: float, replicas: int) -> int:
    """Return the replicas for an external metric that all share, with `target` for each.

    Worked examples: 50 in all, 10 each, 4 replicas: 1.25 is outside of 10 %: 5. With 5 replicas, or
    with a need of 5.3 (53 in all): stays at 5. At zero: ceil(50 / 10).
    """
    if replicas > 0 and abs(total / (target * replicas) - 1) <= TOLERANCE:
        return replicas
    return _up(total / target)


def _up(value: float) -> int:
    return math.ceil(value - 1e-9)


class Behavior:
    """Stabilisation windows and rate policies of one autoscaler."""

    def __init__(self, down_seconds: float, least: int) -> None:
        """Set the down window; the up direction has none.

        A scale-up adds at most max(+4, +100 %) for each 15 s.
        """
        self.down_seconds, self.least = down_seconds, least
        self._raw: deque[tuple[float, int]] = deque()

    def settle(self, now: float, current: int, raw: int) -> int:
        """Return the number to set: raw, but not below the highest raw number of the down window.

        Worked example: 4 now, raw 20: max(4 + 4, 2 * 4) = 8. 8 now, raw 2, and 5 was raw within the
        window: 5.
        """
        while self._raw and self._raw[0][0] <= now - self.down_seconds:
            self._raw.popleft()
        while self._raw and self._raw[-1][1] <= raw:
            self._raw.pop()
        self._raw.append((now, raw))
        highest = self._raw[0][1]
        wanted = max(raw, min(current, highest))
        return max(min(wanted, max(current + 4, 2 * current)), self.least)


class Hpa:
    """One HorizontalPodAutoscaler."""

    interval_seconds = TICK_SECONDS
    delay_seconds = SCRAPE_AGE_SECONDS
    wake_seconds: float | None = None
    memory_seconds = DOWN_SECONDS

    def __init__(
        self,
        service: SimulatedService,
        target: float,
        down_seconds: float,
        metric: str = "utilisation",
        *,
        least: int = 1,
    ) -> None:
        """Set up the autoscaler; `target` is a share of the slots.

        `metric` is utilisation or concurrency.
        """
        self.name = f"hpa-{metric}"
        self._slots, self._target, self._metric = service.slots, target, metric
        # At least one: the feature gate HPAScaleToZero is off by default.
        self._behavior = Behavior(down_seconds, max(1, least))

    def decide(self, seen: Observation) -> int:
        """Return the wanted replicas, never below the minimum, which is at least one."""
        current = seen.ready + seen.starting
        if current == 0:
            return self._behavior.least
        seconds = max(seen.seconds, 1e-9)
        if self._metric == "utilisation":
            use = min(1.0, seen.busy_seconds / seconds / max(1, seen.ready * self._slots))
            raw = per_pod(use / self._target, seen.ready, seen.starting)
        else:
            total = (seen.busy_seconds + seen.queued_seconds) / seconds
            raw = average_value(total, self._target * self._slots, current)
        return self._behavior.settle(seen.now, current, raw)


def _peer(metric: str) -> Peer:
    def make(service: SimulatedService, target: float, down_seconds: float, least: int) -> Hpa:
        return Hpa(service, target, down_seconds, metric, least=least)

    def default(service: SimulatedService, least: int) -> Setting:
        label = f"{DEFAULT}target {DEFAULT_TARGET:g}, down {DOWN_SECONDS:g} s"
        return Setting(label, lambda: make(service, DEFAULT_TARGET, DOWN_SECONDS, least))

    def grid(service: SimulatedService, least: int) -> list[Setting]:
        return settings(WINDOWS, lambda t, w: make(service, t, w, least), "down")

    return Peer(f"hpa-{metric}", default, grid)


UTILISATION, CONCURRENCY = _peer("utilisation"), _peer("concurrency")
