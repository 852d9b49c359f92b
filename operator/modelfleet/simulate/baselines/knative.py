"""Knative's pod autoscaler, KPA (knative/serving pkg/autoscaler).

The KPA uses concurrency with the queue, a stable window and a panic window. The simulation reads
all pods, not a sample of the pods, which favours Knative.
"""

import math
from collections import deque

from modelfleet.simulate.baselines.base import DEFAULT, Peer, Setting, settings
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

TICK_SECONDS = 2.0
STABLE_SECONDS = 60.0
PANIC_SECONDS = 6.0
PANIC_THRESHOLD = 2.0
MAX_UP_RATE = 1000.0
MAX_DOWN_RATE = 2.0
GRACE_SECONDS = 30.0
DEFAULT_TARGET = 0.7
DELAYS = (0.0, 300.0)
ROUNDING = 1e-9


class WindowMean:
    """Mean concurrency over the last seconds, or since the first sample while that is shorter."""

    def __init__(self, seconds: float) -> None:
        """Set the length of the window."""
        self._size = round(seconds / TICK_SECONDS)
        self._values: deque[float] = deque()
        self._sum = 0.0

    def push(self, value: float) -> float:
        """Add one tick; returns the mean."""
        self._values.append(value)
        self._sum += value
        if len(self._values) > self._size:
            self._sum -= self._values.popleft()
        if self._sum < ROUNDING:
            self._sum = 0.0
        return self._sum / len(self._values)


def bounded(concurrency: float, target: float, ready: int) -> int:
    """Return the pods for a concurrency, within the rates of change.

    Worked examples: 30 at target 7: 5. From 12 ready pods at most down to 6: 6.
    """
    wanted = math.ceil(concurrency / target - 1e-9)
    least, most = math.floor(ready / MAX_DOWN_RATE), math.ceil(MAX_UP_RATE * ready)
    return min(max(wanted, least), most)


class Knative:
    """One KPA."""

    name = "knative-kpa"
    interval_seconds = TICK_SECONDS
    delay_seconds = 1.0
    wake_seconds: float | None = 0.1
    memory_seconds = STABLE_SECONDS

    def __init__(
        self, service: SimulatedService, target: float, delay_seconds: float, least: int
    ) -> None:
        """Set up the autoscaler; `target` is a share of the slots.

        `delay_seconds` is the setting scale-down-delay.
        """
        self._target, self._least = target * service.slots, least
        self._stable, self._panic = WindowMean(STABLE_SECONDS), WindowMean(PANIC_SECONDS)
        self._delay_seconds = delay_seconds
        self._recent: deque[tuple[float, int]] = deque()
        self._panic_until = -1.0
        self._panic_most = 0
        self._idle_since: float | None = None

    def decide(self, seen: Observation) -> int:
        """Return the wanted pods of one tick.

        Worked example: 2 ready pods, target 7, 30 in the panic window. ceil(30 / 7) = 5 is more
        than twice 2, so panic begins. Until the panic window has been below the threshold for 60 s,
        the answer is never less than 5.
        """
        value = (seen.busy_seconds + seen.queued_seconds) / max(seen.seconds, 1e-9)
        stable, panic = self._stable.push(value), self._panic.push(value)
        ready = max(1, seen.ready)
        wanted = bounded(stable, self._target, ready)
        urgent = bounded(panic, self._target, ready)
        if math.ceil(panic / self._target - 1e-9) / ready >= PANIC_THRESHOLD:
            self._panic_until = seen.now + STABLE_SECONDS
        if seen.now < self._panic_until:
            self._panic_most = max(self._panic_most, wanted, urgent)
            wanted = self._panic_most
        else:
            self._panic_most = 0
        return self._zero(seen, self._delayed(seen.now, wanted))

    def _delayed(self, now: float, wanted: int) -> int:
        """Return the highest answer within the scale-down delay."""
        while self._recent and self._recent[0][0] <= now - self._delay_seconds:
            self._recent.popleft()
        while self._recent and self._recent[-1][1] <= wanted:
            self._recent.pop()
        self._recent.append((now, wanted))
        return self._recent[0][1]

    def _zero(self, seen: Observation, wanted: int) -> int:
        """Return the answer; the last pod leaves after 30 s more without any request."""
        if wanted > 0:
            self._idle_since = None
            return max(wanted, self._least)
        if self._idle_since is None:
            self._idle_since = seen.now
        is_over = seen.now - self._idle_since >= GRACE_SECONDS or seen.ready + seen.starting == 0
        return max(0 if is_over else 1, self._least)


def _default(service: SimulatedService, least: int) -> Setting:
    label = f"{DEFAULT}target {DEFAULT_TARGET:g}, delay 0 s"
    return Setting(label, lambda: Knative(service, DEFAULT_TARGET, 0.0, least))


def _grid(service: SimulatedService, least: int) -> list[Setting]:
    return settings(DELAYS, lambda t, w: Knative(service, t, w, least), "delay")


PEER = Peer(Knative.name, _default, _grid)
