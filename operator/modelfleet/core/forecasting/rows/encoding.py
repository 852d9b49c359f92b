"""Encoding of a block of rows as plain arrays with names, and back, for a file.

`memory.learned_file` writes and reads the arrays. `layout` identifies how rows are laid out. Arrays
of another layout have another meaning and must never be read. This module has no access to files.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, HOUR_BINS, TAUS, Tuning
from modelfleet.core.forecasting.features.arrivals_history import ArrivalHistory, decode_counts
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import HISTORY_DAYS, Policy
from modelfleet.core.forecasting.quantiles.regression import Coefficients
from modelfleet.core.forecasting.rows.transfer import RINGS, TABLES, Arrays, parts, set_clock

LONGEST_RING = 7200 // BIN_SECONDS + 1
"""Bins of the longest start-up time that a version may have."""
_ABSENT, _QUIET, _STORED = range(3)
"""Kinds of an hour of history: before the first bin, without a request, with codes."""
NAMES: Mapping[str, str] = {
    "fleet.newest": "policy.newest",
    "fleet._table": "policy._table",
    "fleet._promise": "policy._error_budgets",
    "fleet._has_served": "policy._has_served",
    "fleet._coefficients": "policy._coefficients",
    "fleet._next_fit": "policy._next_fit",
    "present.age": "live.age",
    "present.load": "live.load",
    "present.quarter": "live.quarter",
    "present._smoothed": "live._smoothed",
    "present._minute_peak": "live._minute_peak",
    "present._minute_sum": "live._minute_sum",
    "present._sums": "live._sums",
    "present._raw_sums": "live._raw_sums",
    "present._quarters": "live._quarters",
    "present._recent": "live._recent",
    "present._peaks": "live._peaks",
    "present._means": "live._means",
    "present._blocks": "live._blocks",
    "present._partial": "live._partial",
    "present._past": "live._past",
    "present.days": "live.days",
    "present._days_known": "live._days_known",
    "shadow.queue": "replay_queues.queue",
    "shadow.ready": "replay_queues.ready",
    "shadow.pending": "replay_queues.pending",
    "shadow.ages": "replay_queues.ages",
    "shadow.violated": "replay_queues.violated",
    "shadow._delay": "replay_queues._delay",
    "shadow._orders": "replay_queues._orders",
    "shadow._kept": "replay_queues._kept",
    "choice.violated": "choice.violated",
    "choice.squares": "choice.squares",
    "choice.cost": "choice.cost",
    "choice.requests": "choice.requests",
    "choice._hour": "choice._hour",
    "choice.aim": "choice.aim",
    "choice.chosen": "choice.chosen",
    "choice.recalled": "choice.recalled",
    "choice._next": "choice._next",
    "choice.lived": "choice.ended",
    "choice.missed": "choice.missed",
    "rest.violated": "sleep.violated",
    "rest.squares": "sleep.squares",
    "rest.cost": "sleep.cost",
    "rest.requests": "sleep.requests",
    "rest._hour": "sleep._hour",
    "rest.quiet": "sleep.quiet",
    "rest._session_bins": "sleep._session_bins",
    "rest._left": "sleep._left",
    "rest.chosen": "sleep.chosen",
    "rest.is_known": "sleep.is_known",
}
"""Name in the file to part and attribute. A name in the file never changes: the next release would
lose what was learned under it."""


@dataclass(frozen=True, slots=True)
class Table:
    """An array with rows: `attribute` of `owner`, with the rows along `axis`."""

    owner: Any
    attribute: str
    axis: int
    values: NDArray[Any]


def layout(tuning: Tuning) -> str:
    """Return a hash of all that gives the arrays their meaning: names, shapes, dials, levels."""
    policy = Policy(1, tuning)
    digest = hashlib.sha256()
    for name, table in sorted(_tables(policy).items()):
        values = table.values
        shape = values.shape[1:] if table.attribute in RINGS else values.shape
        digest.update(f"{name} {values.dtype} {shape}\n".encode())
    codes = decode_counts(np.arange(256, dtype=np.uint8))
    for constants in (TAUS, policy.dials.risk, policy.dials.floor, codes):
        digest.update(np.asarray(constants, dtype=np.float64).tobytes())
    digest.update(f"{BIN_SECONDS} {HISTORY_DAYS}".encode())
    return digest.hexdigest()[:16]


def _tables(policy: Policy) -> dict[str, Table]:
    """Return all arrays with rows, by their names in the file."""
    owners: dict[str, Any] = {"policy": policy, **parts(policy)}
    axes = {"policy": dict.fromkeys(TABLES, 0)}
    axes |= {name: part.AXES for name, part in parts(policy).items()}
    tables = {}
    for name, path in NAMES.items():
        owner, attribute = path.split(".")
        values = getattr(owners[owner], attribute)
        tables[name] = Table(owners[owner], attribute, axes[owner][attribute], values)
    return tables


def arrays_of(block: Policy) -> Arrays:
    """Return all state of a block; every row must have a model."""
    all_figures = [figures for figures in block.figures if figures is not None]
    arrays = {name: table.values for name, table in _tables(block).items()}
    arrays["clock"] = np.array([block.steps], dtype=np.int64)
    arrays["services"] = np.array(
        [
            (
                figures.startup_seconds,
                figures.wait_seconds,
                figures.slots,
                figures.service_seconds,
                figures.aim,
            )
            for figures in all_figures
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    arrays["priors"] = np.stack([prior.stacked() for prior in block._priors]).astype(np.float32)
    arrays["fitted"] = np.array([warm is not None for warm in block._warm])
    return arrays | _histories(block)


def _histories(block: Policy) -> Arrays:
    kinds = np.full((block.size, HISTORY_DAYS * 24), _ABSENT, dtype=np.uint8)
    stored = [np.zeros((0, HOUR_BINS), dtype=np.uint8)]
    opened = np.zeros((block.size, HOUR_BINS), dtype=np.uint8)
    filled = np.zeros(block.size, dtype=np.int64)
    for row, history in enumerate(block.histories):
        hours = history.hours()
        kinds[row, : len(hours)] = [_QUIET if hour is None else _STORED for hour in hours]
        stored += [hour[None] for hour in hours if hour is not None]
        newest = history.newest()
        opened[row, : len(newest)], filled[row] = newest, len(newest)
    hours_of_all = np.concatenate(stored)
    return {
        "history.kinds": kinds,
        "history.hours": hours_of_all,
        "history.open": opened,
        "history.filled": filled,
    }


def block_of(arrays: Arrays, tuning: Tuning) -> Policy:
    """Return the block of these `arrays_of`; raises ValueError or KeyError for other arrays."""
    all_figures = _whole(arrays, "services", np.dtype(np.float64), (None, 5))
    block = Policy(len(all_figures), tuning)
    for name, table in _tables(block).items():
        sizes: list[int | None] = list(table.values.shape)
        sizes[table.axis] = block.size
        if table.attribute in RINGS:
            sizes[0] = None
        values = _whole(arrays, name, table.values.dtype, tuple(sizes))
        setattr(table.owner, table.attribute, values)
    if not 1 <= len(block.replay_queues._orders) == len(block.replay_queues._kept) <= LONGEST_RING:
        msg = "rings of orders are of no possible length"
        raise ValueError(msg)
    block.figures = [ModelFigures(*values) for values in all_figures.tolist()]
    set_clock(block, int(_whole(arrays, "clock", np.dtype(np.int64), (1,))[0]))
    shape = (block.size, *block._coefficients.shape[1:])
    priors = _whole(arrays, "priors", np.dtype(np.float32), shape)
    fitted = _whole(arrays, "fitted", np.dtype(np.bool_), (block.size,))
    block._priors = [Coefficients(coefficients[0], coefficients[1]) for coefficients in priors]
    block._warm = [
        Coefficients(coefficients[0].copy(), coefficients[1].copy()) if is_fitted else None
        for coefficients, is_fitted in zip(block._coefficients, fitted.tolist(), strict=True)
    ]
    _read_histories(block, arrays)
    block._is_stale = True
    return block


def _read_histories(block: Policy, arrays: Arrays) -> None:
    bytes_, size = np.dtype(np.uint8), block.size
    kinds = _whole(arrays, "history.kinds", bytes_, (size, HISTORY_DAYS * 24))
    hours = _whole(arrays, "history.hours", bytes_, (None, HOUR_BINS))
    opened = _whole(arrays, "history.open", bytes_, (size, HOUR_BINS))
    filled = _whole(arrays, "history.filled", np.dtype(np.int64), (size,)).tolist()
    quiet, index = np.zeros(HOUR_BINS, dtype=np.uint8), 0
    for row in range(size):
        history = ArrivalHistory(HISTORY_DAYS)
        for kind in kinds[row][kinds[row] != _ABSENT].tolist():
            history.extend(hours[index] if kind == _STORED else quiet)
            index += kind == _STORED
        if not 0 <= filled[row] < HOUR_BINS:
            msg = "an hour with more bins than an hour has"
            raise ValueError(msg)
        history.extend(opened[row, : filled[row]])
        block.histories[row] = history


def _whole(
    arrays: Arrays, name: str, kind: np.dtype[Any], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Return one array, if it has the wanted type and shape; None stands for any length."""
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
    )
    if array.dtype != kind or not fits:
        msg = f"{name} is {array.dtype}{array.shape}, not {kind}{shape}"
        raise ValueError(msg)
    return array
