"""What a run was worth: violations, cost, starts, from the accounts of a world.

Made by `world.World.result`, read by the benchmark and the reports. Must never count a minute
that is history or a gap of the collection.
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
    """Of the scored minutes of one run. Waits in seconds, `billed_seconds` are replica-seconds."""

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
        """Share of the requests that waited longer than W or were never served, in percent."""
        return 100.0 * self.violations / self.requests if self.requests else 0.0

    @property
    def replica_hours(self) -> float:
        """From the creation of each replica to the end of its drain."""
        return self.billed_seconds / 3600.0

    def cost_ratio(self, reference: "Score") -> float:
        """To what a reference paid; infinity where that is nothing."""
        if reference.billed_seconds <= 0:
            return math.inf
        return self.billed_seconds / reference.billed_seconds

    @property
    def starts_per_day(self) -> float:
        """Replicas created in a day of scored time."""
        return self.starts * DAY_SECONDS / self.scored_seconds if self.scored_seconds else 0.0


def scored_minutes(trace: Trace, skip_seconds: float) -> NDArray[np.bool_]:
    """Which minutes of a trace count: whole ones after the history and outside of all gaps."""
    size = int(np.ceil(trace.seconds / MINUTE - 1e-9))
    begins = np.arange(size) * MINUTE
    counted = begins >= skip_seconds - 1e-6
    for first, last in gaps(trace):
        counted &= (begins + MINUTE <= first) | (begins >= last)
    return np.asarray(counted)


def score(s: State, scored: NDArray[np.bool_]) -> Score:
    """Sums over the scored minutes; requests belong to the minute in which they came.

    A request that was not served until the end has violated, however short it waited.
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
    """Of the scored minutes: requests and violations of each, and the waits of all requests."""
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
    """Of a fleet: sums, the largest peak of one model, waits of the worst model."""
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
