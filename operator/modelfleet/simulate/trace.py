"""Traces of requests, read from CSV files.

`arrivals` draws single requests from them. This module also detects the gaps that a collection left
in a trace. Must never invent requests.
"""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.simulated_service import DAY_SECONDS

Floats = NDArray[np.float64]

MIN_ROWS = 2
MINUTE = 60.0
MIN_UNIX_SECONDS = 1e8
"""Three years. A larger time is a Unix time: no trace is as long, and none is from before 1973."""
MAX_DAYS = 366
"""Longest trace: a year in ticks of five seconds takes hours to simulate."""
MIN_OF_COUNTER = 10
"""Least number of values that look like a counter; fewer may rise by chance alone."""
GAP_SECONDS = 570.0
"""Zeros for ten minutes; half a minute less, as a bin at the edge may hold a stray request."""
GAP_LEAST_EXPECTED = 60.0
GAP_MOST_SHARE = 0.1

_UNREADABLE: tuple[tuple[type[Exception], str], ...] = (
    (FileNotFoundError, "no such file"),
    (IsADirectoryError, "is a directory, not a file"),
    (PermissionError, "may not be read with your permissions"),
    (EOFError, "the gzip file is cut off; copy or create it again"),
    (zlib.error, "the gzip file is damaged; copy or create it again"),
    (gzip.BadGzipFile, "is not a complete gzip file, though its name ends in .gz"),
    (UnicodeDecodeError, "is not text in UTF-8; save it as CSV in UTF-8"),
)


class TraceError(ValueError):
    """Error for a file that is not a valid trace; the message names file, line and column."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests over time; t = 0 is the begin of the trace.

    A trace has either `counts` or `moments`. `counts` are the requests in each bin of
    `bin_seconds`: real numbers where the file gives a mean rate. `moments` are the exact times of
    single requests, sorted. `work_seconds` are their service times, where the file has them.
    `is_mean`: the counts are means, and each seed draws its own.
    """

    name: str
    seconds: float
    bin_seconds: float = 0.0
    counts: Floats = field(default_factory=lambda: np.zeros(0))
    moments: Floats | None = None
    work_seconds: Floats | None = None
    is_mean: bool = False

    def binned(self, bin_seconds: float) -> Floats:
        """Return the requests in each bin of that length.

        The last bin may be shorter than the others.
        """
        size = max(1, math.ceil(self.seconds / bin_seconds - 1e-9))
        if self.moments is not None:
            bins = (self.moments // bin_seconds).astype(int)
            return np.bincount(bins, minlength=size)[:size].astype(np.float64)
        starts = np.arange(len(self.counts)) * self.bin_seconds
        counts = np.zeros(size)
        np.add.at(counts, np.minimum((starts // bin_seconds).astype(int), size - 1), self.counts)
        return counts

    def requests(self) -> float:
        """Return the number of requests, or the expected number."""
        return float(self.counts.sum() if self.moments is None else len(self.moments))

    def mean_work_seconds(self) -> float | None:
        """Return the mean service time of the requests; None where the file has none."""
        if self.work_seconds is None or len(self.work_seconds) == 0:
            return None
        return max(1e-3, float(self.work_seconds.mean()))

    def times(self, factor: float) -> "Trace":
        """Return the trace with its rates multiplied; each seed then draws new counts."""
        if factor == 1.0:
            return self
        width = self.bin_seconds or 1.0
        return Trace(self.name, self.seconds, width, self.binned(width) * factor, is_mean=True)


def never_falls(values: Floats) -> bool:
    """Return whether the numbers only rise, as those of a counter do and no rate does."""
    is_long = len(values) >= MIN_OF_COUNTER
    return is_long and bool((np.diff(values) >= 0).all() and values[-1] > values[0])


def gaps(trace: Trace) -> list[tuple[float, float]]:
    """Return (begin, end) in seconds of the windows in which no requests were collected.

    A gap is at least `GAP_SECONDS` of zeros in a trace that is otherwise busy. Busy means that its
    mean rate gives `GAP_LEAST_EXPECTED` requests or more in such a window. The chance of none is
    then e^-60. All such windows together are at most a tenth of the trace; otherwise the trace is
    idle by nature.
    """
    width = max(trace.bin_seconds, 5.0)
    counts = trace.binned(width)
    is_zero = np.concatenate(([0], (counts == 0).astype(int), [0]))
    edges = np.flatnonzero(np.diff(is_zero))
    windows = [
        (float(a) * width, float(b) * width)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if (b - a) * width >= GAP_SECONDS
    ]
    total = sum(b - a for a, b in windows)
    expected = counts.sum() / trace.seconds * GAP_SECONDS
    is_busy = expected >= GAP_LEAST_EXPECTED and total <= GAP_MOST_SHARE * trace.seconds
    return windows if is_busy else []


def read_trace(path: Path) -> Trace:
    """Return the trace of one service from a CSV file; raises `TraceError`.

    The columns are `t_seconds,requests_per_second`, or `t_seconds` with one row for each request.
    More columns are allowed; `execution_seconds` gives single requests their service time. Rates
    begin with their first row. Single requests begin at 0 or, for Unix times, with the minute of
    the first.
    """
    columns = _columns(path, ("t_seconds",), ("requests_per_second", "execution_seconds"))
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    starts = columns["t_seconds"]
    if "requests_per_second" not in columns:
        return _of_moments(path, name, starts, columns.get("execution_seconds"))
    if len(starts) < MIN_ROWS:
        message = f"{path}: rates need at least two rows"
        raise TraceError(message)
    width = float(starts[1] - starts[0])
    odd = np.flatnonzero(np.abs(np.diff(starts) - width) > 1e-6 * max(1.0, width))
    if width <= 0 or len(odd):
        line = int(odd[0]) + 3 if len(odd) else 3
        message = f"{path}, line {line}, column t_seconds: bins must have equal lengths"
        raise TraceError(message)
    counts = columns["requests_per_second"] * width
    return Trace(name, _checked(path, len(starts) * width), width, counts)


def read_fleet(path: Path) -> dict[str, Trace]:
    """Return the traces of many services by model; raises `TraceError`.

    The columns are `t_seconds,model,execution_seconds`, one row for each request. All traces have
    the begin and the length of the whole file.
    """
    models = np.array(_words(path, "model"))
    columns = _columns(path, ("t_seconds", "execution_seconds"))
    moments, work = _from_begin(columns["t_seconds"]), columns["execution_seconds"]
    seconds = _length(path, moments)
    traces = {}
    for model in sorted(set(models.tolist())):
        chosen = models == model
        order = np.argsort(moments[chosen], kind="stable")
        traces[model] = Trace(
            model,
            seconds,
            moments=moments[chosen][order],
            work_seconds=work[chosen][order],
        )
    return traces


def _of_moments(path: Path, name: str, moments: Floats, work: Floats | None) -> Trace:
    moments = _from_begin(moments)
    order = np.argsort(moments, kind="stable")
    sorted_work = None if work is None else work[order]
    return Trace(name, _length(path, moments), moments=moments[order], work_seconds=sorted_work)


def _from_begin(moments: Floats) -> Floats:
    """Return Unix times counted from the whole minute of the first; others unchanged.

    Worked example: 1700000030 and 1700000095 are in minutes from 1699999980: 50 and 115.
    """
    first = float(moments.min())
    return moments - first // MINUTE * MINUTE if first > MIN_UNIX_SECONDS else moments


def _length(path: Path, moments: Floats) -> float:
    """Return the seconds up to the end of the second of the last request."""
    return _checked(path, float(math.floor(moments.max()) + 1))


def _checked(path: Path, seconds: float) -> float:
    if seconds <= MAX_DAYS * DAY_SECONDS:
        return seconds
    message = (
        f"{path}, column t_seconds: the times span {seconds / DAY_SECONDS:,.0f} days, at most"
        f" {MAX_DAYS} can be simulated; are they in seconds? If so, take a shorter piece"
    )
    raise TraceError(message)


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a file; raises `TraceError` when the file cannot be read."""
    try:
        # With '-sig': spreadsheets write a byte order mark.
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as fault:
        why = next((text for kind, text in _UNREADABLE if isinstance(fault, kind)), str(fault))
        message = f"{path}: {why}"
        raise TraceError(message) from fault


def _columns(
    path: Path, needed: tuple[str, ...], wanted: tuple[str, ...] = ()
) -> dict[str, Floats]:
    """Return columns of numbers; those of `wanted` only where the file has them."""
    rows = _rows(path)
    head = [cell.strip() for cell in next(rows, [])]
    positions = {c: _position(path, head, c) for c in needed}
    positions |= {c: head.index(c) for c in wanted if c in head}
    numbers: dict[str, list[float]] = {column: [] for column in positions}
    for line, row in enumerate(rows, start=2):
        for column, position in positions.items() if row else ():
            numbers[column].append(_number(path, line, column, row[position : position + 1]))
    if not numbers[needed[0]]:
        message = f"{path}: no rows"
        raise TraceError(message)
    return {column: np.array(values) for column, values in numbers.items()}


def _words(path: Path, column: str) -> list[str]:
    """Return a column of text."""
    rows = _rows(path)
    position = _position(path, [cell.strip() for cell in next(rows, [])], column)
    words = []
    for line, row in enumerate(rows, start=2):
        if row and position >= len(row):
            message = f"{path}, line {line}, column {column}: nothing is there"
            raise TraceError(message)
        words += row[position : position + 1]
    return words


def _position(path: Path, head: list[str], column: str) -> int:
    if column not in head:
        message = f"{path}, line 1: column '{column}' is missing; there are {head}"
        raise TraceError(message)
    return head.index(column)


def _number(path: Path, line: int, column: str, cell: list[str]) -> float:
    try:
        value = float(cell[0])
    except (IndexError, ValueError):
        shown = cell[0] if cell else "nothing"
        text = f"{path}, line {line}, column {column}: '{shown}' is not a number"
        raise TraceError(text) from None
    if not math.isfinite(value) or value < 0:
        message = f"{path}, line {line}, column {column}: {value:g}; must be 0 or more and finite"
        raise TraceError(message)
    return value
