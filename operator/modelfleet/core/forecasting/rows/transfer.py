"""Rows of the policy as values: copied out, copied in, carried over a time that nobody watched.

Called by `memory.learned_file` around a restart and by `rows.backfill`. A block is a small `Policy`
of its own, so what is kept is whatever the parts name in their AXES. All positions in rings follow
the fleet's count of bins, so a row may only move between fleets of an equal count. Must never touch
a row that it was not told to.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, HOUR_BINS
from modelfleet.core.forecasting.features.arrivals_history import encode_counts
from modelfleet.core.forecasting.features.gap_filling import filled
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.policy import Bin, Policy
from modelfleet.core.forecasting.rows.tables import Rows

REPLAYED_BINS = HOUR_BINS
"""Of a long gap the shadow queues see the last hour only; all windows see the whole of it."""
TABLES = ("newest", "_table", "_promise", "_has_served", "_coefficients", "_next_fit")
RINGS = ("_orders", "_kept")
"""Arrays of `Shadow` that are as long as the longest start-up time of a fleet."""
_SUMS = ("violated", "squares", "cost", "requests", "_session_bins")
_LIVE = ("lived", "missed", "quiet", "_left")
Arrays = dict[str, NDArray[Any]]


def parts(fleet: Policy) -> dict[str, Rows]:
    """The parts of a fleet that have rows, by name."""
    return {name: part for name, part in vars(fleet).items() if isinstance(part, Rows)}


def set_clock(fleet: Policy, bins: int) -> None:
    """Count bins from here; only for a fleet without a model, or with rows of that count."""
    fleet.steps = fleet.present.bins = bins


def taken(fleet: Policy, rows: Sequence[int]) -> Policy:
    """A copy of some rows, as a fleet of their own. 64 rows are a few milliseconds."""
    block, index = Policy(len(rows), fleet.tuning), np.array(rows, dtype=np.intp)
    set_clock(block, fleet.steps)
    theirs = parts(block)
    for name, part in parts(fleet).items():
        for array, axis in part.AXES.items():
            setattr(theirs[name], array, np.take(getattr(part, array), index, axis=axis))
    for array in TABLES:
        setattr(block, array, getattr(fleet, array)[index])
    block.services = [fleet.services[row] for row in rows]
    block.histories = [fleet.histories[row].copy() for row in rows]
    block._priors = [fleet._priors[row] for row in rows]
    block._warm = [fleet._warm[row] for row in rows]
    block._is_stale = True
    return block


def place(fleet: Policy, rows: Sequence[int], block: Policy) -> None:
    """Copy all rows of a block of the same count of bins into these rows.

    Raises ValueError for another count, as the rings would be read at the wrong places.
    """
    if block.steps != fleet.steps:
        msg = f"a block of bin {block.steps} does not fit into a fleet of bin {fleet.steps}"
        raise ValueError(msg)
    index = np.array(rows, dtype=np.intp)
    _equal_rings(fleet, block)
    theirs = parts(block)
    for name, part in parts(fleet).items():
        for array, axis in part.AXES.items():
            new = np.moveaxis(getattr(theirs[name], array), axis, 0)
            np.moveaxis(getattr(part, array), axis, 0)[index] = new
    for array in TABLES:
        getattr(fleet, array)[index] = getattr(block, array)
    for here, row in enumerate(rows):
        fleet.services[row] = block.services[here]
        fleet.histories[row] = block.histories[here].copy()
        fleet._priors[row], fleet._warm[row] = block._priors[here], block._warm[here]
    fleet._is_stale = True


def _equal_rings(*fleets: Policy) -> None:
    for name in RINGS:
        longest = max(len(getattr(fleet.shadow, name)) for fleet in fleets)
        for fleet in fleets:
            ring = getattr(fleet.shadow, name)
            more = np.zeros((longest - len(ring), *ring.shape[1:]), dtype=ring.dtype)
            setattr(fleet.shadow, name, np.concatenate((ring, more)))


def carry_on(fleet: Policy, bins: int, replayed_bins: int = REPLAYED_BINS) -> None:
    """Carry all rows over `bins` bins that nobody watched.

    Arrivals are those of `gaps.filled`, so windows, profile and history stay on the wall clock.
    What candidates would have cost is only known of what really came: their sums grow as if the
    gap had been like the rest, so shares and rates stay as they are, and no choice is made.
    """
    if bins <= 0:
        return
    arrivals = _unwatched(fleet, bins)
    before, counted = _judgement(fleet), fleet._counted_seconds()
    begun, hours = fleet._has_served.copy(), fleet.steps // HOUR_BINS
    far = max(0, bins - replayed_bins)
    if far:
        skip(fleet, arrivals[:far])
    for counts in arrivals[far:]:
        fleet.step(unseen(counts))
    factor = fleet._counted_seconds() / np.maximum(counted, BIN_SECONDS)
    factor = np.where(counted > 0, factor, 1.0)
    _restore(fleet, before, factor, is_new_hour=fleet.steps // HOUR_BINS != hours)
    fleet._has_served = begun


def unseen(counts: Floats) -> Bin:
    """A bin of which only the arrivals (n,) are known."""
    zeros = np.zeros_like(counts)
    return Bin(counts, zeros, zeros, zeros, zeros, zeros, zeros)


def skip(fleet: Policy, arrivals: Floats) -> None:
    """Arrivals (bins, n) for windows and history alone: a sixth of the time of whole steps."""
    if fleet._is_stale:
        fleet._figures()
    zeros = np.zeros(fleet.size, dtype=np.float32)
    per_bin = fleet._table[:, 3] / BIN_SECONDS
    for counts in arrivals:
        fleet.present.push(counts, per_bin, fleet._weight, fleet._boxes, fleet._table[:, 0])
        fleet.choice.live(zeros, zeros, fleet.steps)
        fleet.steps += 1
    fleet.newest = np.array(arrivals[-1])
    codes = encode_counts(arrivals)
    for row, service in enumerate(fleet.services):
        if service is not None:
            fleet.histories[row].extend(codes[:, row])
    _arrived(fleet)


def _arrived(fleet: Policy) -> None:
    """After a long time all ordered replicas are there, and only the present level is kept."""
    shadow = fleet.shadow
    shadow.ready += shadow.pending
    highest = shadow._kept.max(axis=0)
    for name in ("pending", "ages", "_orders", "_kept"):
        getattr(shadow, name)[:] = 0.0
    shadow._kept[0] = highest


def _unwatched(fleet: Policy, bins: int) -> Floats:
    found = np.zeros((bins, fleet.size), dtype=np.float32)
    needed = bins + HOUR_BINS + (DAY_BINS + HOUR_BINS if bins > HOUR_BINS else 0)
    unknown = np.full(bins, np.nan, dtype=np.float32)
    for row, service in enumerate(fleet.services):
        if service is not None:
            known = fleet.histories[row].counts(needed)
            found[:, row] = filled(np.concatenate((known, unknown)))[-bins:]
    return found


def _judgement(fleet: Policy) -> Arrays:
    """All that choices are made of, but for what went on in time."""
    return {
        f"{name}.{array}": np.array(getattr(part, array))
        for name, part in (("choice", fleet.choice), ("rest", fleet.rest))
        for array in part.AXES
        if array not in _LIVE
    }


def _restore(fleet: Policy, before: Arrays, factor: Floats, *, is_new_hour: bool) -> None:
    known = parts(fleet)
    for path, value in before.items():
        name, array = path.split(".")
        setattr(known[name], array, value)
    for part in (fleet.choice, fleet.rest):
        if is_new_hour:
            part.violated += part._hour
            part.squares += part._hour**2
            part._hour[:] = 0.0
        for array in _SUMS:
            table = getattr(part, array, None)
            if table is not None:
                table *= factor if table.ndim == 1 else factor[:, None]
