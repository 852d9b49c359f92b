"""One simulated service: requests, replicas and time.

`run` advances, observes and scales it for any scaler. Must never decide the number of replicas.
"""

import operator

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.arrivals import Arrivals
from modelfleet.simulate.engines import batch_engine, slots_engine
from modelfleet.simulate.engines.state import (
    BILLED,
    FIGURES,
    MINUTE,
    MINUTE_ROWS,
    NEVER,
    PEAK,
    State,
    bill,
    create,
    scale,
)
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.score import Score, score
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import Floats

__all__ = ["Observation", "SimulatedService", "World"]

MAX_REPLICAS = 1000
FIELD = {name: position for position, name in enumerate(FIGURES.names or ())}
SUMS = operator.itemgetter(
    *(
        FIELD[name]
        for name in ("now", "service_sum", "busy_sum", "queued_sum", "arrived", "completed", "slow")
    )
)
STANDING = operator.itemgetter(
    *(FIELD[n] for n in ("in_flight", "arrived", "started", "ready", "starting", "draining"))
)


class World:
    """A service under its requests."""

    def __init__(
        self,
        service: SimulatedService,
        arrivals: Arrivals,
        scored: NDArray[np.bool_] | None = None,
        begin_seconds: float = 0.0,
        *,
        initial: int = 0,
        most: int = MAX_REPLICAS,
    ) -> None:
        """Begin at `begin_seconds` of the trace with `initial` ready replicas.

        There are never more than `most` replicas. `scored` marks the minutes of the trace that
        count; None means all.
        """
        self.service, self.seconds, self.most = service, arrivals.seconds, most
        minutes = int(np.ceil(arrivals.seconds / MINUTE - 1e-9))
        self._scored = np.ones(minutes, dtype=np.bool_) if scored is None else scored
        self._state = s = _empty(arrivals, service.slots, most, minutes)
        first = np.searchsorted(arrivals.moments, begin_seconds)
        for name in ("first", "arrived", "started"):
            s.figures[name] = first
        for name in ("now", "billed_to"):
            s.figures[name] = begin_seconds
        for name in ("next_ready", "next_done"):
            s.figures[name] = NEVER
        s.figures["limit"], s.figures["slots"] = service.wait_seconds, service.slots
        for _ in range(initial):
            row = create(s, True)
            if service.batch is None:
                slots_engine.open_replica(s, row)
        self._seen = SUMS(s.figures.item())

    @property
    def now(self) -> float:
        """Seconds since the begin of the trace."""
        return float(self._state.figures["now"])

    @property
    def is_empty(self) -> bool:
        """Whether no replica of any state exists and no request waits."""
        f = self._state.figures
        return self.have() + f["draining"] == 0 and bool(f["arrived"] == f["started"])

    def have(self) -> int:
        """Return the number of replicas that are ready or starting."""
        figures = self._state.figures
        return int(figures["ready"]) + int(figures["starting"])

    def oldest_unserved(self) -> float:
        """Return the time at which the next request to be served came or will come.

        Infinity when no request is left.
        """
        s = self._state
        number = int(s.figures["started"])
        return float(s.moments[number]) if number < len(s.moments) else NEVER

    def advance(self, until_seconds: float) -> None:
        """Let time pass up to a moment of the trace."""
        batch = self.service.batch
        if batch is None:
            slots_engine.advance_slots(self._state, until_seconds)
            return
        alone = batch.prefill_seconds + batch.tokens * batch.alpha_seconds
        each = batch.tokens * batch.beta_seconds
        batch_engine.advance_batches(self._state, until_seconds, alone, each)

    def scale_to(self, replicas: int) -> int:
        """Create or remove replicas until `replicas` are ready or starting.

        Returns the number that is ready or starting now.
        """
        wanted, have = min(max(0, int(replicas)), self.most), self.have()
        return have if wanted == have else scale(self._state, wanted)

    def observe(self) -> Observation:
        """Return the events since the last look, and the present state."""
        figures = self._state.figures.item()
        before, after = self._seen, SUMS(figures)
        self._seen = after
        now, service, busy, queued, arrivals, completions, slow = (
            new - old for new, old in zip(after, before, strict=True)
        )
        in_flight, arrived, started, ready, starting, draining = STANDING(figures)
        return Observation(
            now=after[0],
            seconds=now,
            arrivals=arrivals,
            completions=completions,
            service_seconds=service,
            slow=slow,
            in_flight=in_flight,
            queued=arrived - started,
            ready=ready,
            starting=starting,
            draining=draining,
            busy_seconds=busy,
            queued_seconds=queued,
        )

    def result(self) -> Score:
        """Return the score so far; requests that still wait count as never served."""
        bill(self._state, self.now)
        return score(self._state, self._scored)

    def replicas_by_minute(self) -> tuple[Floats, Floats]:
        """Return the mean and the highest number of billed replicas in each minute."""
        bill(self._state, self.now)
        minutes = self._state.minutes[:, :-1]
        return minutes[BILLED] / MINUTE, minutes[PEAK].copy()


def _empty(arrivals: Arrivals, slots: int, most: int, minutes: int) -> State:
    rows = 2 * most + 1
    ends = np.zeros((3, rows * slots))
    ends[0] = NEVER
    timers = np.zeros((3, rows))
    timers[2] = NEVER
    return State(
        figures=np.zeros(1, dtype=FIGURES)[0],
        moments=arrivals.moments,
        work=arrivals.work,
        waits=np.full(len(arrivals.moments), np.inf, dtype=np.float32),
        startups=arrivals.startups,
        replicas=np.zeros((3, rows), dtype=np.int64),
        timers=timers,
        slots=ends,
        lines=np.zeros((2, rows * slots), dtype=np.int64),
        minutes=np.zeros((MINUTE_ROWS, minutes + 1)),
    )
