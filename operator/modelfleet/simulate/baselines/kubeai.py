"""KubeAI's model autoscaler (internal/modelautoscaler).

KubeAI uses the mean of ten minutes of active requests. KubeAI's proxy starts the first replica.
"""

import math
from collections import deque

from modelfleet.simulate.baselines.base import DEFAULT, Peer, Setting, settings
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

TICK_SECONDS = 10.0
SAMPLES = 60
DOWN_SECONDS = 30.0
DEFAULT_TARGET = 1.0
"""KubeAI's default is 100 requests, as many as a large engine takes; here all slots."""
WINDOWS = (DOWN_SECONDS, 300.0)


class KubeAI:
    """One model."""

    name = "kubeai"
    interval_seconds = TICK_SECONDS
    delay_seconds = 0.0
    wake_seconds: float | None = 0.0
    memory_seconds = SAMPLES * TICK_SECONDS

    def __init__(
        self, service: SimulatedService, target: float, down_seconds: float, least: int
    ) -> None:
        """Set up the autoscaler; `target` is a share of the slots.

        `down_seconds` is the setting scaleDownDelaySeconds.
        """
        self._target, self._least = target * service.slots, least
        self._needed = max(1, math.ceil(down_seconds / TICK_SECONDS))
        self._samples: deque[int] = deque([0] * SAMPLES, maxlen=SAMPLES)
        self._sum = 0
        self._lower = 0

    def decide(self, seen: Observation) -> int:
        """Return the wanted replicas.

        More replicas start at once. Fewer need three lower proposals in a row, with the default
        setting. Worked example: 16 active requests for 5 min, none before, target 8: mean 8, 1
        replica.
        """
        active = seen.in_flight + seen.queued
        self._sum += active - self._samples[0]
        self._samples.append(active)
        wanted = max(math.ceil(self._sum / SAMPLES / self._target - 1e-9), self._least)
        current = seen.ready + seen.starting
        if wanted >= current:
            self._lower = 0
            return wanted
        self._lower += 1
        if self._lower < self._needed:
            return current
        self._lower = 0
        return wanted


def _default(service: SimulatedService, least: int) -> Setting:
    label = f"{DEFAULT}target {DEFAULT_TARGET:g}, down {DOWN_SECONDS:g} s"
    return Setting(label, lambda: KubeAI(service, DEFAULT_TARGET, DOWN_SECONDS, least))


def _grid(service: SimulatedService, least: int) -> list[Setting]:
    return settings(WINDOWS, lambda t, w: KubeAI(service, t, w, least), "down")


PEER = Peer(KubeAI.name, _default, _grid)
