"""The requests of `replay` through the simulator: same moments, same work, measured figures.

Called by `replay` after the real run. Drives what `modelfleet simulate` drives, and adds a
record of the replicas. Must never be told how the real run decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelfleet.simulate.arrivals import Arrivals
from modelfleet.simulate.run import run_fleet
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.shipped_scaler import ShippedScaler
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.world import World


class Recorded:
    """A scaler that keeps what it was shown and what it answered."""

    def __init__(self, scaler: ShippedScaler) -> None:
        self._scaler = scaler
        self.interval_seconds = scaler.interval_seconds
        self.points: list[dict[str, float]] = []

    def decide(self, seen: Sequence[Observation]) -> Sequence[int]:
        """Of the one world."""
        wanted, one = self._scaler.decide(seen), seen[0]
        self.points.append(
            {
                "seconds": one.now,
                "wanted": wanted[0],
                "ready": one.ready,
                "alive": one.ready + one.starting + one.draining,
            }
        )
        return wanted


def simulate(
    moments: np.ndarray,
    work: np.ndarray,
    service: SimulatedService,
    *,
    aim: float,
    seconds: float,
    objective_seconds: float,
) -> dict[str, Any]:
    """The run from one ready replica; points every few seconds and its figures."""
    # The same for every start: its spread on this machine is small.
    startups = np.full(64, service.startup_seconds)
    arrivals = Arrivals(moments, work, startups, seconds)
    world = World(service, arrivals, initial=1)
    recorded = Recorded(ShippedScaler([service], aim, least_replicas=1))
    run_fleet([world], recorded)
    score = world.result()
    latency = world._state.waits + arrivals.work
    return {
        "points": recorded.points,
        "requests": len(moments),
        "over": int((latency > objective_seconds).sum()),
        "replica_seconds": score.billed_seconds,
        "starts": score.starts,
        "latency_ms": {
            f"p{n}": round(1000 * float(np.quantile(latency, n / 100)), 1) for n in (50, 95, 99)
        },
    }
