"""Small worlds and observations for the tests of the simulator."""

import numpy as np

from modelfleet.simulate.arrivals import Arrivals
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.world import World

SERVICE = SimulatedService(
    startup_seconds=10, wait_seconds=2, slots=2, service_seconds=1, service_cv=0
)


def arrivals(*moments: float, work: float = 1.0, startup: float = 10.0, until: float = 600):
    size = len(moments)
    works = np.full(size, work, dtype=np.float32)
    return Arrivals(np.array(moments, dtype=float), works, np.full(4, startup), until)


def a_world(
    *moments: float, service: SimulatedService = SERVICE, initial: int = 0, **more: float
) -> World:
    return World(service, arrivals(*moments, **more), initial=initial)


def seen(now: float = 0.0, seconds: float = 15.0, **more: float) -> Observation:
    """An observation; `busy` and `waiting` are mean concurrencies."""
    busy, waiting = more.pop("busy", 0.0), more.pop("waiting", 0.0)
    fields = {
        "arrivals": 0,
        "completions": 0,
        "service_seconds": 0.0,
        "slow": 0,
        "in_flight": round(busy),
        "queued": round(waiting),
        "ready": 0,
        "starting": 0,
        "draining": 0,
        **more,
    }
    return Observation(
        now, seconds, busy_seconds=busy * seconds, queued_seconds=waiting * seconds, **fields
    )
