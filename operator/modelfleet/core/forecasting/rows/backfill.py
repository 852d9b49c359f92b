"""A row of the policy from a model's past: what it would know had it been watched all along.

For a source of history such as Prometheus: `memory.history_backfill` runs `recollect` in a thread
and gives its result to `scaling.forecaster`. Must never touch the fleet that is in use.
"""

import numpy as np

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, HOUR_BINS, SHIPPED, Tuning
from modelfleet.core.forecasting.features.gap_filling import filled
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.quantiles.regression import Coefficients
from modelfleet.core.forecasting.rows.transfer import set_clock, skip, unseen

WHOLE_BINS = 2 * HOUR_BINS
"""A past so short is replayed whole: two seconds."""
JUDGED_BINS = DAY_BINS
"""After a long past, which was not replayed, candidates are watched for so long before one is
chosen by what it did."""
_SUMS = ("violated", "squares", "cost", "requests", "_hour", "_session_bins")


def backfill(
    counts: Floats,
    service: ModelFigures,
    prior: Coefficients,
    clock: int,
    tuning: Tuning = SHIPPED,
    *,
    replayed_bins: int | None = None,
) -> Policy:
    """A block of one row that has lived through `counts` (bins,), oldest first.

    NaN is a bin that the source does not know; those before the first known one are left out. The
    last bin of `counts` is bin `clock` - 1 of the fleet that the block is for. `replayed_bins`: how
    many of the newest bins the shadow queues and the fits see too (all by default); what comes
    before fills history and windows only. About 15 s for each day that is replayed.
    """
    known = np.flatnonzero(~np.isnan(counts))
    arrivals = filled(counts[known[0] :]) if len(known) else np.zeros(0, dtype=np.float32)
    block = Policy(1, tuning)
    set_clock(block, clock - len(arrivals))
    block.adopt(0, service, prior)
    replayed = len(arrivals) if replayed_bins is None else min(replayed_bins, len(arrivals))
    far, near = arrivals[: len(arrivals) - replayed, None], arrivals[len(arrivals) - replayed :]
    if len(far):
        skip(block, far)
    for count in near:
        if block.due():
            block.learn(0, block.fit_of(0)())
        block.step(unseen(np.array([count], dtype=np.float32)))
    return block


def recollect(
    counts: Floats,
    service: ModelFigures,
    prior: Coefficients,
    clock: int,
    tuning: Tuning = SHIPPED,
    *,
    recalled: int = -1,
) -> Policy:
    """As `backfill`, for a second for each day: windows, history and fit, and an hour replayed.

    What the candidates would have done is not known of a long past, and an hour without a violation
    would make the boldest look safe. So the cautious one is followed (or the one that was
    `recalled`) until the shadow queues have seen a day.
    """
    known = np.flatnonzero(~np.isnan(counts))
    if not len(known) or len(counts) - known[0] <= WHOLE_BINS:
        return backfill(counts, service, prior, clock, tuning)
    block = backfill(counts, service, prior, clock, tuning, replayed_bins=HOUR_BINS)
    age = int(block.present.age[0])
    for part in (block.choice, block.rest):
        for name in _SUMS:
            if hasattr(part, name):
                getattr(part, name)[:] = 0
    limit = np.array([tuning.safety * service.aim])
    block.choice.aim[:] = limit
    block.choice.chosen[:] = recalled if recalled >= 0 else block.bank.cautious(limit)
    block.choice._next[:] = age + JUDGED_BINS
    return block


def judged_at(fleet: Policy, row: int) -> int | None:
    """The bin at which a row of `recollect` has been watched long enough; None for others."""
    left = int(fleet.choice._next[row] - fleet.present.age[row])
    return fleet.steps + left if left > HOUR_BINS else None


def weigh(fleet: Policy, row: int) -> None:
    """A day was watched of a longer past: the rest counts as if it had been like that day.

    Shares stay as they are, and so does the number of requests in a day. Worked example: watched
    for a day after 8 others: with the shipped half-lives all sums grow by 5.2.
    """
    factor = float(fleet._counted_seconds()[row]) / (JUDGED_BINS * BIN_SECONDS)
    for part in (fleet.choice, fleet.rest):
        for name in _SUMS:
            table = getattr(part, name, None)
            if table is not None and name != "_hour":
                table[row] *= factor
