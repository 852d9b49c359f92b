"""Score of a run: violations, cost and starts, from the accounts of a world.

`world.World.result` makes it; `report` and `replay` pass it on. Must never count a minute of the
history or of a gap in the collection.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.engines.state import BILLED, COLD, MINUTE, PEAK, REVERSALS, STARTS, State
from modelfleet.simulate.simulated_service import DAY_SECONDS
from modelfleet.simulate.trace import Trace, gaps

BAD_MINUTE_SHARE = 0.01
QUANTILES = (0.5, 0.99)


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over the scored minutes of one run.

    Waits are in seconds; `billed_seconds` are replica-seconds.
    """

    requests: int
    violations: int
    billed_seconds: float
    starts: int
    peak_replicas: int
    reversals: int
    bad_minutes_share: float
    wait_p50_seconds: float
    wait_p99_seconds: float
    cold_requests: int
    scored_seconds: float

    @property
    def violations_percent(self) -> float:
        """Percent of the requests that waited longer than W or were never served."""
        return 100.0 * self.violations / self.requests if self.requests else 0.0

    @property
    def replica_hours(self) -> float:
        """Hours from the creation of each replica to the end of its drain, summed."""
        return self.billed_seconds / 3600.0

    def cost_ratio(self, reference: "Score") -> float:
        """Return the cost divided by that of a reference; infinity where that is nothing."""
        if reference.billed_seconds <= 0:
            return math.inf
        return self.billed_seconds / reference.billed_seconds

    @property
    def starts_per_day(self) -> float:
        """Replicas created in a day of scored time."""
        return self.starts * DAY_SECONDS / self.scored_seconds if self.scored_seconds else 0.0


def scored_minutes(trace: Trace, skip_seconds: float) -> NDArray[np.bool_]:
    """Return which minutes of a trace count: whole ones after the history, outside of all gaps."""
    size = int(np.ceil(trace.seconds / MINUTE - 1e-9))
    begins = np.arange(size) * MINUTE
    counted = begins >= skip_seconds - 1e-6
    for first, last in gaps(trace):
        counted &= (begins + MINUTE <= first) | (begins >= last)
    return np.asarray(counted)


def score(s: State, scored: NDArray[np.bool_]) -> Score:
    """Return the sums over the scored minutes; a request belongs to the minute in which it came.

    A request that was not served until the end counts as a violation, however short its wait is.
    """
    minutes = s.minutes[:, : len(scored)][:, scored]
    requests, violated, waits = _requests(s, scored)
    is_busy = requests > 0
    bad = (violated > BAD_MINUTE_SHARE * requests) & is_busy
    middle, late = (
        np.quantile(waits, QUANTILES, method="inverted_cdf").tolist() if len(waits) else (0.0, 0.0)
    )
    return Score(
        requests=int(requests.sum()),
        violations=int(violated.sum()),
        billed_seconds=float(minutes[BILLED].sum()),
        starts=int(minutes[STARTS].sum()),
        peak_replicas=int(minutes[PEAK].max(initial=0)),
        reversals=int(minutes[REVERSALS].sum()),
        bad_minutes_share=float(bad.sum() / max(1, is_busy.sum())),
        wait_p50_seconds=middle,
        wait_p99_seconds=late,
        cold_requests=int(minutes[COLD].sum()),
        scored_seconds=minutes.shape[1] * MINUTE,
    )


def _requests(
    s: State, scored: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return requests and violations of each scored minute, and the waits of all their requests."""
    first = int(s.figures["first"])
    came = s.moments[first : int(s.figures["arrived"])]
    waits = s.waits[first : int(s.figures["arrived"])]
    edges = np.searchsorted(came, np.arange(len(scored) + 1) * MINUTE)
    edges[-1] = len(came)
    late = np.flatnonzero(waits > s.figures["limit"])
    late_before = np.searchsorted(late, edges)
    parts = [waits[a:b] for a, b in zip(edges[:-1][scored], edges[1:][scored], strict=True)]
    counted = np.concatenate(parts) if parts else waits[:0]
    return (
        np.asarray(np.diff(edges)[scored]),
        np.asarray(np.diff(late_before)[scored]),
        np.asarray(counted),
    )


def total(scores: Sequence[Score]) -> Score:
    """Return the score of a fleet: sums, the largest peak of one model, the worst p99 wait.

    The median wait is the median of the models' medians. The share of bad minutes is weighted by
    requests. The scored time is that of the longest model.
    """
    requests = sum(s.requests for s in scores)
    return Score(
        requests=requests,
        violations=sum(s.violations for s in scores),
        billed_seconds=sum(s.billed_seconds for s in scores),
        starts=sum(s.starts for s in scores),
        peak_replicas=max(s.peak_replicas for s in scores),
        reversals=sum(s.reversals for s in scores),
        bad_minutes_share=sum(s.bad_minutes_share * s.requests for s in scores) / max(1, requests),
        wait_p50_seconds=float(np.median([s.wait_p50_seconds for s in scores])),
        wait_p99_seconds=max(s.wait_p99_seconds for s in scores),
        cold_requests=sum(s.cold_requests for s in scores),
        scored_seconds=max(s.scored_seconds for s in scores),
    )
