"""A row of the policy from a model's past: what it would know had it been watched all along.

For a source of history such as Prometheus: run `backfill` in a thread and give its result to
`engine.forecaster`. Must never touch the fleet that is in use.
"""

import numpy as np

from modelfleet.core.policy.fleet import Fleet
from modelfleet.core.policy.forecast import Coefficients
from modelfleet.core.policy.gaps import filled
from modelfleet.core.policy.memory import set_clock, skip, unseen
from modelfleet.core.policy.series import Floats
from modelfleet.core.policy.service import Service
from modelfleet.core.policy.tuning import SHIPPED, Tuning


def backfill(
    counts: Floats,
    service: Service,
    prior: Coefficients,
    clock: int,
    tuning: Tuning = SHIPPED,
    *,
    replayed_bins: int | None = None,
) -> Fleet:
    """A block of one row that has lived through `counts` (bins,), oldest first.

    NaN is a bin that the source does not know; those before the first known one are left out. The
    last bin of `counts` is bin `clock` - 1 of the fleet that the block is for. `replayed_bins`: how
    many of the newest bins the shadow queues and the fits see too (all by default); what comes
    before fills history and windows only. About 15 s for each day that is replayed.
    """
    known = np.flatnonzero(~np.isnan(counts))
    arrivals = filled(counts[known[0] :]) if len(known) else np.zeros(0, dtype=np.float32)
    block = Fleet(1, tuning)
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
