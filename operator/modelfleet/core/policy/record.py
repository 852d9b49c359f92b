"""A block of rows as plain arrays with names, and back: what a file can hold.

Called by `engine.memory`. `layout` says how rows are laid out; arrays of another layout mean
something else and must never be read. Knows nothing of files.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.policy.fleet import HISTORY_DAYS, Fleet
from modelfleet.core.policy.forecast import Coefficients
from modelfleet.core.policy.history import History, decode
from modelfleet.core.policy.memory import RINGS, TABLES, Arrays, parts, set_clock
from modelfleet.core.policy.service import Service
from modelfleet.core.policy.tuning import BIN_SECONDS, HOUR_BINS, TAUS, Tuning

LONGEST_RING = 7200 // BIN_SECONDS + 1
"""Bins of the longest start-up time that a version may have."""
_ABSENT, _QUIET, _STORED = range(3)
"""Of an hour of history: not lived, without a request, with codes."""


def layout(tuning: Tuning) -> str:
    """A hash of all that gives the arrays their meaning: names, shapes, candidates, levels."""
    fleet = Fleet(1, tuning)
    found = hashlib.sha256()
    for path, (_, _, table) in sorted(_tables(fleet).items()):
        shape = table.shape[1:] if path.split(".")[-1] in RINGS else table.shape
        found.update(f"{path} {table.dtype} {shape}\n".encode())
    codes = decode(np.arange(256, dtype=np.uint8))
    for table in (TAUS, fleet.bank.risk, fleet.bank.floor, codes):
        found.update(np.asarray(table, dtype=np.float64).tobytes())
    found.update(f"{BIN_SECONDS} {HISTORY_DAYS}".encode())
    return found.hexdigest()[:16]


def _tables(fleet: Fleet) -> dict[str, tuple[Any, int, NDArray[Any]]]:
    """All arrays with rows by their path: owner, axis of the rows, values."""
    found: dict[str, tuple[Any, int, NDArray[Any]]] = {
        f"fleet.{name}": (fleet, 0, getattr(fleet, name)) for name in TABLES
    }
    for name, part in parts(fleet).items():
        for array, axis in part.AXES.items():
            found[f"{name}.{array}"] = (part, axis, getattr(part, array))
    return found


def arrays_of(block: Fleet) -> Arrays:
    """All that a block knows; every row must have a model."""
    services = [service for service in block.services if service is not None]
    found = {path: table for path, (_, _, table) in _tables(block).items()}
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


def _histories(block: Fleet) -> Arrays:
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


def block_of(arrays: Arrays, tuning: Tuning) -> Fleet:
    """The block that `arrays_of` was given; ValueError or KeyError when it is none."""
    services = _whole(arrays, "services", np.dtype(np.float64), (None, 5))
    block = Fleet(len(services), tuning)
    for path, (owner, axis, table) in _tables(block).items():
        name = path.split(".")[1]
        sizes: list[int | None] = list(table.shape)
        sizes[axis] = block.size
        if name in RINGS:
            sizes[0] = None
        setattr(owner, name, _whole(arrays, path, table.dtype, tuple(sizes)))
    if not 1 <= len(block.shadow._orders) == len(block.shadow._kept) <= LONGEST_RING:
        msg = "rings of orders are of no possible length"
        raise ValueError(msg)
    block.services = [Service(*values) for values in services.tolist()]
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


def _read_histories(block: Fleet, arrays: Arrays) -> None:
    bytes_, size = np.dtype(np.uint8), block.size
    kinds = _whole(arrays, "history.kinds", bytes_, (size, HISTORY_DAYS * 24))
    hours = _whole(arrays, "history.hours", bytes_, (None, HOUR_BINS))
    opened = _whole(arrays, "history.open", bytes_, (size, HOUR_BINS))
    filled = _whole(arrays, "history.filled", np.dtype(np.int64), (size,)).tolist()
    quiet, place = np.zeros(HOUR_BINS, dtype=np.uint8), 0
    for row in range(size):
        history = History(HISTORY_DAYS)
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
