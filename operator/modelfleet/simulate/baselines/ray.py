"""Ray Serve's request-based policy (serve/autoscaling_policy.py).

Ray's loop runs every 0.1 s, but its input changes only with the pushes every 10 s. This loop
therefore runs every 10 s.
"""

import math
from collections import deque

from modelfleet.simulate.baselines.base import DEFAULT, Peer, Setting, settings
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

PUSH_SECONDS = 10.0
LOOK_BACK_PUSHES = 3
UP_SECONDS = 30.0
DOWN_SECONDS = 600.0
DEFAULT_TARGET_REQUESTS = 2.0
WINDOWS = (DOWN_SECONDS, 120.0)


class Ray:
    """One deployment."""

    name = "ray-serve"
    interval_seconds = PUSH_SECONDS
    delay_seconds = 0.0
    wake_seconds: float | None = 0.1
    memory_seconds = LOOK_BACK_PUSHES * PUSH_SECONDS

    def __init__(self, target_requests: float, down_seconds: float, least: int) -> None:
        """Set up the policy; `target_requests` is target_ongoing_requests of one replica."""
        self._target, self._least, self._down_seconds = target_requests, least, down_seconds
        self._pushes: deque[float] = deque(maxlen=LOOK_BACK_PUSHES)
        self._direction = 0
        self._since = 0.0

    def decide(self, seen: Observation) -> int:
        """Return the wanted replicas; a change needs the same direction for the whole delay.

        Worked example: 40 ongoing at target 8: 5. Wanted for 30 s: acts now; then the delay begins
        again.
        """
        ongoing = (seen.busy_seconds + seen.queued_seconds) / max(seen.seconds, 1e-9)
        self._pushes.append(ongoing)
        mean = sum(self._pushes) / len(self._pushes)
        wanted = max(math.ceil(mean / self._target - 1e-9), self._least)
        current = seen.ready + seen.starting
        if current == 0:
            self._direction = 0
            return max(wanted, int(seen.queued > 0))
        direction = (wanted > current) - (wanted < current)
        if direction != self._direction:
            self._direction, self._since = direction, seen.now
        delay = UP_SECONDS if direction > 0 else self._down_seconds
        if direction == 0 or seen.now - self._since < delay:
            return current
        self._direction = 0
        return wanted


def _default(_: SimulatedService, least: int) -> Setting:
    label = f"{DEFAULT}{DEFAULT_TARGET_REQUESTS:g} ongoing, down {DOWN_SECONDS:g} s"
    return Setting(label, lambda: Ray(DEFAULT_TARGET_REQUESTS, DOWN_SECONDS, least))


def _grid(service: SimulatedService, least: int) -> list[Setting]:
    return settings(WINDOWS, lambda t, w: Ray(t * service.slots, w, least), "down")


PEER = Peer(Ray.name, _default, _grid)
