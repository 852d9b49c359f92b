"""Constant utilisation: replicas for the present demand, at once in both directions.

The benchmark uses this textbook rule, with fresh metrics, as a plain yardstick.
"""

import math
from collections import deque

from modelfleet.simulate.baselines.base import Peer, Setting
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

TICK_SECONDS = 5.0
MEAN_TICKS = 6
SHARE = 0.7


class PresentLoad:
    """Arrivals of the last 30 s times the service time, over 70 % of the slots."""

    name = "always-70%"
    interval_seconds = TICK_SECONDS
    delay_seconds = 1.0
    wake_seconds: float | None = 0.1
    memory_seconds = MEAN_TICKS * TICK_SECONDS

    def __init__(self, service: SimulatedService, least: int, share: float = SHARE) -> None:
        """Set up the rule; `share` is the share of the slots that should be busy."""
        self._per_replica = share * service.capacity_per_second()
        self._least = least
        self._counts: deque[int] = deque(maxlen=MEAN_TICKS)

    def decide(self, seen: Observation) -> int:
        """Return the wanted replicas.

        Worked example: 12 requests/s, a replica answers 2/s: 12 / 1.4 = 8.6: 9.
        """
        self._counts.append(seen.arrivals)
        rate = sum(self._counts) / (len(self._counts) * TICK_SECONDS)
        waits = int(seen.queued + seen.in_flight > 0)
        return max(math.ceil(rate / self._per_replica - 1e-9), self._least, waits)


def _default(service: SimulatedService, least: int) -> Setting:
    return Setting("always", lambda: PresentLoad(service, least))


PEER = Peer(PresentLoad.name, _default, lambda _service, _least: [], size=0)
