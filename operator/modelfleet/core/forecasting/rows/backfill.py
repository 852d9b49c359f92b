"""Backfill: a row of the policy from a model's past, as if the model had always been watched.

The past comes from a source such as Prometheus. `memory.history_backfill` runs `recollect` in a
thread and hands the result to `scaling.forecaster`. Must never touch the policy that is in use.
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
"""A past of at most this length is replayed whole, in two seconds."""
JUDGED_BINS = DAY_BINS
"""After a long past, which was not replayed, dials are watched for this long before one is chosen
by its results."""
_SUMS = ("violated", "squares", "cost", "requests", "_hour", "_session_bins")


def backfill(
    counts: Floats,
    figures: ModelFigures,
    prior: Coefficients,
    clock: int,
    tuning: Tuning = SHIPPED,
    *,
    replayed_bins: int | None = None,
) -> Policy:
    """Return a block of one row that has processed `counts` (bins,), oldest first.

    NaN is a bin that the source does not have; unknown bins before the first known one are left
    out. The last bin of `counts` is bin `clock` - 1 of the policy that the block is for.
    `replayed_bins`: the newest bins that replay queues and fits process too (all by default).
    Earlier bins fill history and windows only. About 15 s for each day that is replayed.
    """
    known = np.flatnonzero(~np.isnan(counts))
    arrivals = filled(counts[known[0] :]) if len(known) else np.zeros(0, dtype=np.float32)
    block = Policy(1, tuning)
    set_clock(block, clock - len(arrivals))
    block.adopt(0, figures, prior)
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
    figures: ModelFigures,
    prior: Coefficients,
    clock: int,
    tuning: Tuning = SHIPPED,
    *,
    recalled: int = -1,
) -> Policy:
    """Return as `backfill` a block, in a second for each day: only the last hour is replayed.

    Windows, history and fit use the whole past. The results of the dials on a long past are not
    known, and an hour without a violation would make the boldest dial look safe. So the cautious
    dial is used (or the `recalled` one) until the replay queues have processed a day.
    """
    known = np.flatnonzero(~np.isnan(counts))
    if not len(known) or len(counts) - known[0] <= WHOLE_BINS:
        return backfill(counts, figures, prior, clock, tuning)
    block = backfill(counts, figures, prior, clock, tuning, replayed_bins=HOUR_BINS)
    age = int(block.live.age[0])
    for part in (block.choice, block.sleep):
        for name in _SUMS:
            if hasattr(part, name):
                getattr(part, name)[:] = 0
    limit = np.array([tuning.safety * figures.aim])
    block.choice.aim[:] = limit
    block.choice.chosen[:] = recalled if recalled >= 0 else block.dials.cautious(limit)
    block.choice._next[:] = age + JUDGED_BINS
    return block


def judged_at(policy: Policy, row: int) -> int | None:
    """Return the bin at which a row of `recollect` has been watched long enough, or None.

    None stands for a row that needs no more watching.
    """
    left = int(policy.choice._next[row] - policy.live.age[row])
    return policy.steps + left if left > HOUR_BINS else None


def weigh(policy: Policy, row: int) -> None:
    """Scale a row's sums after one watched day: the rest of the past counts as if it were equal.

    Shares stay as they are, and so does the number of requests in a day. Worked example: watched
    for a day after 8 others: with the shipped half-lives all sums grow by 5.2.
    """
    factor = float(policy._counted_seconds()[row]) / (JUDGED_BINS * BIN_SECONDS)
    for part in (policy.choice, policy.sleep):
        for name in _SUMS:
            table = getattr(part, name, None)
            if table is not None and name != "_hour":
                table[row] *= factor
