"""A block of rows as plain arrays with names, and back: what a file can hold.

Called by `memory.learned_file`. `layout` says how rows are laid out; arrays of another layout mean
something else and must never be read. Knows nothing of files.
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
"""Of an hour of history: not lived, without a request, with codes."""
NAMES: Mapping[str, str] = {
    "fleet.newest": "fleet.newest",
    "fleet._table": "fleet._table",
    "fleet._promise": "fleet._promise",
    "fleet._has_served": "fleet._has_served",
    "fleet._coefficients": "fleet._coefficients",
    "fleet._next_fit": "fleet._next_fit",
    "present.age": "present.age",
    "present.load": "present.load",
    "present.quarter": "present.quarter",
    "present._smoothed": "present._smoothed",
    "present._minute_peak": "present._minute_peak",
    "present._minute_sum": "present._minute_sum",
    "present._sums": "present._sums",
    "present._raw_sums": "present._raw_sums",
    "present._quarters": "present._quarters",
    "present._recent": "present._recent",
    "present._peaks": "present._peaks",
    "present._means": "present._means",
    "present._blocks": "present._blocks",
    "present._partial": "present._partial",
    "present._past": "present._past",
    "present.days": "present.days",
    "present._days_known": "present._days_known",
    "shadow.queue": "shadow.queue",
    "shadow.ready": "shadow.ready",
    "shadow.pending": "shadow.pending",
    "shadow.ages": "shadow.ages",
    "shadow.violated": "shadow.violated",
    "shadow._delay": "shadow._delay",
    "shadow._orders": "shadow._orders",
    "shadow._kept": "shadow._kept",
    "choice.violated": "choice.violated",
    "choice.squares": "choice.squares",
    "choice.cost": "choice.cost",
    "choice.requests": "choice.requests",
    "choice._hour": "choice._hour",
    "choice.aim": "choice.aim",
    "choice.chosen": "choice.chosen",
    "choice.recalled": "choice.recalled",
    "choice._next": "choice._next",
    "choice.lived": "choice.lived",
    "choice.missed": "choice.missed",
    "rest.violated": "rest.violated",
    "rest.squares": "rest.squares",
    "rest.cost": "rest.cost",
    "rest.requests": "rest.requests",
    "rest._hour": "rest._hour",
    "rest.quiet": "rest.quiet",
    "rest._session_bins": "rest._session_bins",
    "rest._left": "rest._left",
    "rest.chosen": "rest.chosen",
    "rest.is_known": "rest.is_known",
}
"""Name in the file to part and attribute. A name in the file never changes: what was learned under
it would be lost with the next release."""


@dataclass(frozen=True, slots=True)
class Table:
    """An array with rows: `attribute` of `owner`, with the rows along `axis`."""

    owner: Any
    attribute: str
    axis: int
    values: NDArray[Any]


def layout(tuning: Tuning) -> str:
    """A hash of all that gives the arrays their meaning: names, shapes, candidates, levels."""
    fleet = Policy(1, tuning)
    found = hashlib.sha256()
    for name, table in sorted(_tables(fleet).items()):
        values = table.values
        shape = values.shape[1:] if table.attribute in RINGS else values.shape
        found.update(f"{name} {values.dtype} {shape}\n".encode())
    codes = decode_counts(np.arange(256, dtype=np.uint8))
    for constants in (TAUS, fleet.bank.risk, fleet.bank.floor, codes):
        found.update(np.asarray(constants, dtype=np.float64).tobytes())
    found.update(f"{BIN_SECONDS} {HISTORY_DAYS}".encode())
    return found.hexdigest()[:16]


def _tables(fleet: Policy) -> dict[str, Table]:
    """All arrays with rows, by their names in the file."""
    owners: dict[str, Any] = {"fleet": fleet, **parts(fleet)}
    axes = {"fleet": dict.fromkeys(TABLES, 0)}
    axes |= {name: part.AXES for name, part in parts(fleet).items()}
    found = {}
    for name, path in NAMES.items():
        owner, attribute = path.split(".")
        values = getattr(owners[owner], attribute)
        found[name] = Table(owners[owner], attribute, axes[owner][attribute], values)
    return found


def arrays_of(block: Policy) -> Arrays:
    """All that a block knows; every row must have a model."""
    services = [service for service in block.services if service is not None]
    found = {name: table.values for name, table in _tables(block).items()}
    found["clock"] = np.array([block.steps], dtype=np.int64)
    found["services"] = np.array(
        [
            (one.startup_seconds, one.wait_seconds, one.slots, one.service_seconds, one.aim)
            for one in services
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    found["priors"] = np.stack([prior.stacked() for prior in block._priors]).astype(np.float32)
    found["fitted"] = np.array([warm is not None for warm in block._warm])
    return found | _histories(block)


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
    """The block that `arrays_of` was given; ValueError or KeyError when it is none."""
    services = _whole(arrays, "services", np.dtype(np.float64), (None, 5))
    block = Policy(len(services), tuning)
    for name, table in _tables(block).items():
        sizes: list[int | None] = list(table.values.shape)
        sizes[table.axis] = block.size
        if table.attribute in RINGS:
            sizes[0] = None
        values = _whole(arrays, name, table.values.dtype, tuple(sizes))
        setattr(table.owner, table.attribute, values)
    if not 1 <= len(block.shadow._orders) == len(block.shadow._kept) <= LONGEST_RING:
        msg = "rings of orders are of no possible length"
        raise ValueError(msg)
    block.services = [ModelFigures(*values) for values in services.tolist()]
    set_clock(block, int(_whole(arrays, "clock", np.dtype(np.int64), (1,))[0]))
    shape = (block.size, *block._coefficients.shape[1:])
    priors = _whole(arrays, "priors", np.dtype(np.float32), shape)
    fitted = _whole(arrays, "fitted", np.dtype(np.bool_), (block.size,))
    block._priors = [Coefficients(one[0], one[1]) for one in priors]
    block._warm = [
        Coefficients(one[0].copy(), one[1].copy()) if is_fitted else None
        for one, is_fitted in zip(block._coefficients, fitted.tolist(), strict=True)
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
    quiet, place = np.zeros(HOUR_BINS, dtype=np.uint8), 0
    for row in range(size):
        history = ArrivalHistory(HISTORY_DAYS)
        for kind in kinds[row][kinds[row] != _ABSENT].tolist():
            history.extend(hours[place] if kind == _STORED else quiet)
            place += kind == _STORED
        if not 0 <= filled[row] < HOUR_BINS:
            msg = "an hour with more bins than an hour has"
            raise ValueError(msg)
        history.extend(opened[row, : filled[row]])
        block.histories[row] = history


def _whole(
    arrays: Arrays, name: str, kind: np.dtype[Any], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """One array, if it has the wanted type and shape; None stands for any length."""
    found = arrays[name]
    fits = found.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, found.shape, strict=True)
    )
    if found.dtype != kind or not fits:
        msg = f"{name} is {found.dtype}{found.shape}, not {kind}{shape}"
        raise ValueError(msg)
    return found
