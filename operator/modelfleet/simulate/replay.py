"""Replay of a trace through the shipped policy.

`modelfleet simulate` prints the result. The trace may come from a file or from Prometheus. Must
never compare policies: that is the task of `comparison`.
"""

from dataclasses import dataclass

import numpy as np

from modelfleet.simulate.arrivals import draw_arrivals
from modelfleet.simulate.engines.state import MINUTE
from modelfleet.simulate.run import run_fleet
from modelfleet.simulate.score import Score, scored_minutes
from modelfleet.simulate.shipped_scaler import ShippedScaler
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import Floats, Trace
from modelfleet.simulate.world import World


@dataclass(frozen=True, slots=True)
class Replay:
    """One run of the shipped policy.

    By minute: `rates` are requests per second, `replicas` are the mean replicas that are billed.
    """

    score: Score
    rates: Floats
    replicas: Floats


def replay(
    trace: Trace, service: SimulatedService, aim: float, skip_seconds: float, least: int = 0
) -> Replay:
    """Run the shipped policy over the trace, scored after `skip_seconds`."""
    arrivals = draw_arrivals(trace, service, 1)
    world = World(service, arrivals, scored_minutes(trace, skip_seconds))
    run_fleet([world], ShippedScaler([service], aim, least_replicas=least))
    replicas, _ = world.replicas_by_minute()
    edges = np.searchsorted(arrivals.moments, np.arange(len(replicas) + 1) * MINUTE)
    return Replay(world.result(), np.diff(edges) / MINUTE, replicas)
