"""Clairvoyant reference: a schedule that uses the future arrivals, simulated like all others.

`comparison` divides the cost of each policy by the reference's cost. The reference is achievable,
so it is no lower bound of the true optimum. Write 'clairvoyant reference', never 'optimal'.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.arrivals import Arrivals
from modelfleet.simulate.engines.compiled import compiled
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import Floats

BETAS = np.round(np.arange(-3.0, 6.01, 0.05), 2)
MAX_STEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Foresight:
    """Schedule of `wanted[i]` replicas from i * `step_seconds` on, starting ones included."""

    wanted: NDArray[np.int64]
    step_seconds: float

    def keeping(self, least: int) -> "Foresight":
        """Return this schedule with at least that many replicas at all times."""
        return Foresight(np.maximum(self.wanted, least), self.step_seconds)

    def at(self, seconds: float) -> int:
        """Return the number of replicas at a moment."""
        step = int(seconds / self.step_seconds + 1e-6)
        return int(self.wanted[min(step, len(self.wanted) - 1)])


@compiled
def _add_busy(moments: Floats, work: NDArray[np.float32], step: float, busy: Floats) -> None:
    for number in range(len(moments)):
        at, end = moments[number], moments[number] + work[number]
        index = int(at / step)
        while at < end and index < len(busy):
            until = min(end, (index + 1) * step)
            busy[index] += (until - at) / step
            at = (index + 1) * step
            index += 1


def offered(arrivals: Arrivals, step_seconds: float) -> Floats:
    """Return the mean number of busy slots in each step, without any wait; (steps,).

    Worked example: one request at 3 s that takes 4 s: steps of 5 s hold 0.4 and 0.4.
    """
    busy = np.zeros(max(1, int(np.ceil(arrivals.seconds / step_seconds - 1e-9))))
    _add_busy(arrivals.moments, arrivals.work, step_seconds, busy)
    return busy


def schedule(busy: Floats, beta: float, slots: int, startup_steps: int) -> NDArray[np.int64]:
    """Return the replicas over time for a margin of `beta` square roots of the load.

    Demand c = ceil((a + beta sqrt a) / k). The cost is the time with replicas on, plus S for each
    start. Its exact minimum decomposes by level. The j-th replica stays on through a gap exactly if
    the gap is no longer than S. The j-th replica starts S early. Both rules together give the
    highest demand of the next S.

    Worked example: demand 1 0 0 0 2, S = 2 steps: 1 0 2 2 2; S = 4 steps: 2 2 2 2 2.
    """
    demand = np.ceil(np.maximum(busy + beta * np.sqrt(busy), 0.0) / slots - 1e-9)
    padded = np.concatenate((demand, np.zeros(startup_steps)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, startup_steps + 1)
    return np.asarray(windows.max(axis=1).astype(np.int64))


def plan(service: SimulatedService, arrivals: Arrivals) -> Callable[[float], Foresight]:
    """Return a function from beta to the schedule of one model."""
    step = min(MAX_STEP_SECONDS, max(1.0, service.wait_seconds))
    busy = offered(arrivals, step)
    startup_steps = int(np.ceil(service.startup_seconds / step - 1e-9))
    return lambda beta: Foresight(schedule(busy, beta, service.slots, startup_steps), step)


def cheapest(meets_aim: Callable[[float], bool]) -> float:
    """Return the smallest of `BETAS` that meets the aim, by bisection; the largest if none does."""
    low, high = 0, len(BETAS) - 1
    while low < high:
        middle = (low + high) // 2
        if meets_aim(float(BETAS[middle])):
            high = middle
        else:
            low = middle + 1
    return float(BETAS[low])
