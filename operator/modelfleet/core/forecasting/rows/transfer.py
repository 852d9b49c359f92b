"""Transfer of rows of the policy: copied out, copied in, carried over a time without a watch.

`memory.learned_file` uses it around a restart, and `rows.backfill`. A block is a small `Policy` of
its own, so the parts' AXES define what is copied. All positions in rings follow the policy's count
of bins, so a row may only move between policies of an equal count. Must never touch a row that the
caller did not name.
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
"""Bins of a long gap that the replay queues process: the last hour; all windows cover the whole
gap."""
TABLES = ("newest", "_table", "_error_budgets", "_has_served", "_coefficients", "_next_fit")
RINGS = ("_orders", "_kept")
"""Arrays of `ReplayQueues` that are as long as the longest start-up time of a policy."""
_SUMS = ("violated", "squares", "cost", "requests", "_session_bins")
_LIVE = ("ended", "missed", "quiet", "_left")
Arrays = dict[str, NDArray[Any]]


def parts(policy: Policy) -> dict[str, Rows]:
    """Return the parts of a policy that have rows, by name."""
    return {name: part for name, part in vars(policy).items() if isinstance(part, Rows)}


def set_clock(policy: Policy, bins: int) -> None:
    """Count bins from here; only for a policy without a model, or with rows of that count."""
    policy.steps = policy.live.bins = bins


def taken(policy: Policy, rows: Sequence[int]) -> Policy:
    """Return a copy of some rows, as a policy of their own; 64 rows take a few milliseconds."""
    block, index = Policy(len(rows), policy.tuning), np.array(rows, dtype=np.intp)
    set_clock(block, policy.steps)
    block_parts = parts(block)
    for name, part in parts(policy).items():
        for array, axis in part.AXES.items():
            setattr(block_parts[name], array, np.take(getattr(part, array), index, axis=axis))
    for array in TABLES:
        setattr(block, array, getattr(policy, array)[index])
    block.figures = [policy.figures[row] for row in rows]
    block.histories = [policy.histories[row].copy() for row in rows]
    block._priors = [policy._priors[row] for row in rows]
    block._warm = [policy._warm[row] for row in rows]
    block._is_stale = True
    return block


def place(policy: Policy, rows: Sequence[int], block: Policy) -> None:
    """Copy all rows of a block of the same count of bins into these rows.

    Raises ValueError for another count, as the rings would be read at the wrong positions.
    """
    if block.steps != policy.steps:
        msg = f"a block of bin {block.steps} does not fit into a policy of bin {policy.steps}"
        raise ValueError(msg)
    index = np.array(rows, dtype=np.intp)
    _equal_rings(policy, block)
    block_parts = parts(block)
    for name, part in parts(policy).items():
        for array, axis in part.AXES.items():
            new = np.moveaxis(getattr(block_parts[name], array), axis, 0)
            np.moveaxis(getattr(part, array), axis, 0)[index] = new
    for array in TABLES:
        getattr(policy, array)[index] = getattr(block, array)
    for block_row, row in enumerate(rows):
        policy.figures[row] = block.figures[block_row]
        policy.histories[row] = block.histories[block_row].copy()
        policy._priors[row], policy._warm[row] = block._priors[block_row], block._warm[block_row]
    policy._is_stale = True


def _equal_rings(*policies: Policy) -> None:
    for name in RINGS:
        longest = max(len(getattr(policy.replay_queues, name)) for policy in policies)
        for policy in policies:
            ring = getattr(policy.replay_queues, name)
            more = np.zeros((longest - len(ring), *ring.shape[1:]), dtype=ring.dtype)
            setattr(policy.replay_queues, name, np.concatenate((ring, more)))


def carry_on(policy: Policy, bins: int, replayed_bins: int = REPLAYED_BINS) -> None:
    """Carry all rows over `bins` bins that were not watched.

    Arrivals are those of `gap_filling.filled`, so windows, profile and history stay on the wall
    clock. The results of dials are only known on real arrivals. So their sums grow as if the gap
    had been like the rest: shares and rates stay as they are, and no dial is chosen.
    """
    if bins <= 0:
        return
    arrivals = _unwatched(policy, bins)
    before, counted = _judgement(policy), policy._counted_seconds()
    has_served, hours = policy._has_served.copy(), policy.steps // HOUR_BINS
    skipped = max(0, bins - replayed_bins)
    if skipped:
        skip(policy, arrivals[:skipped])
    for counts in arrivals[skipped:]:
        policy.step(unseen(counts))
    factor = policy._counted_seconds() / np.maximum(counted, BIN_SECONDS)
    factor = np.where(counted > 0, factor, 1.0)
    _restore(policy, before, factor, is_new_hour=policy.steps // HOUR_BINS != hours)
    policy._has_served = has_served


def unseen(counts: Floats) -> Bin:
    """Return a bin of which only the arrivals (n,) are known."""
    zeros = np.zeros_like(counts)
    return Bin(counts, zeros, zeros, zeros, zeros, zeros, zeros)


def skip(policy: Policy, arrivals: Floats) -> None:
    """Process arrivals (bins, n) in windows and history alone: in a sixth of the time of `step`."""
    if policy._is_stale:
        policy._derive_columns()
    zeros = np.zeros(policy.size, dtype=np.float32)
    per_bin = policy._table[:, 3] / BIN_SECONDS
    for counts in arrivals:
        policy.live.push(counts, per_bin, policy._weight, policy._boxes, policy._table[:, 0])
        policy.choice.record(zeros, zeros, policy.steps)
        policy.steps += 1
    policy.newest = np.array(arrivals[-1])
    codes = encode_counts(arrivals)
    for row, figures in enumerate(policy.figures):
        if figures is not None:
            policy.histories[row].extend(codes[:, row])
    _arrived(policy)


def _arrived(policy: Policy) -> None:
    """Make all ordered replicas ready; of the levels to keep only the highest stays."""
    queues = policy.replay_queues
    queues.ready += queues.pending
    highest = queues._kept.max(axis=0)
    for name in ("pending", "ages", "_orders", "_kept"):
        getattr(queues, name)[:] = 0.0
    queues._kept[0] = highest


def _unwatched(policy: Policy, bins: int) -> Floats:
    arrivals = np.zeros((bins, policy.size), dtype=np.float32)
    needed = bins + HOUR_BINS + (DAY_BINS + HOUR_BINS if bins > HOUR_BINS else 0)
    unknown = np.full(bins, np.nan, dtype=np.float32)
    for row, figures in enumerate(policy.figures):
        if figures is not None:
            known = policy.histories[row].counts(needed)
            arrivals[:, row] = filled(np.concatenate((known, unknown)))[-bins:]
    return arrivals


def _judgement(policy: Policy) -> Arrays:
    """Return copies of all sums behind the choices, without those that follow the real time."""
    return {
        f"{name}.{array}": np.array(getattr(part, array))
        for name, part in (("choice", policy.choice), ("sleep", policy.sleep))
        for array in part.AXES
        if array not in _LIVE
    }


def _restore(policy: Policy, before: Arrays, factor: Floats, *, is_new_hour: bool) -> None:
    policy_parts = parts(policy)
    for path, value in before.items():
        name, array = path.split(".")
        setattr(policy_parts[name], array, value)
    for part in (policy.choice, policy.sleep):
        if is_new_hour:
            part.violated += part._hour
            part.squares += part._hour**2
            part._hour[:] = 0.0
        for array in _SUMS:
            table = getattr(part, array, None)
            if table is not None:
                table *= factor if table.ndim == 1 else factor[:, None]
