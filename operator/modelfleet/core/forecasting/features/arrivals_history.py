"""History of one model's arrivals by bins of 5 s, a byte each, for its fits.

`forecasting.policy` has one object for each model with traffic. 8 days are 138 KB; hours without a
request need no memory. Must never hold more than `days`.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import HOUR_BINS

EXACT = 64
"""Counts below this are exact."""
GROWTH = 1.05
"""Counts below 64 are exact; above, a code stands for a count within 2.5 %, up to 700,000."""
_TABLE = np.concatenate(
    (np.arange(EXACT), np.rint(EXACT * GROWTH ** np.arange(1, 256 - EXACT + 1)))
).astype(np.float32)
_EDGES = np.concatenate((_TABLE[1:EXACT] - 0.5, (_TABLE[EXACT - 1 : -1] + _TABLE[EXACT:]) / 2))


def encode_counts(counts: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the logarithmic codes of counts; any shape."""
    return np.searchsorted(_EDGES, counts, side="right").astype(np.uint8)


def decode_counts(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the counts of codes; any shape."""
    return np.asarray(_TABLE[codes])


class ArrivalHistory:
    """Hours of counts, oldest first; None is an hour without a request."""

    def __init__(self, days: int) -> None:
        """Start without a bin; the history keeps at most `days` days."""
        self._hours: deque[NDArray[np.uint8] | None] = deque(maxlen=days * 24)
        self._open = np.zeros(HOUR_BINS, dtype=np.uint8)
        self._filled = 0

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self._hours) * HOUR_BINS + self._filled

    def push(self, code: int) -> None:
        """Add one more bin."""
        self._open[self._filled] = code
        self._filled += 1
        if self._filled == HOUR_BINS:
            self._hours.append(self._open.copy() if self._open.any() else None)
            self._filled = 0

    def extend(self, codes: NDArray[np.uint8]) -> None:
        """Add many bins at once, oldest first."""
        while len(codes):
            room = HOUR_BINS - self._filled
            first, codes = codes[:room], codes[room:]
            self._open[self._filled : self._filled + len(first)] = first
            self._filled += len(first)
            if self._filled == HOUR_BINS:
                self._hours.append(self._open.copy() if self._open.any() else None)
                self._filled = 0

    def counts(self, newest: int | None = None) -> NDArray[np.float32]:
        """Return the counts, oldest first, shape (bins,): all, or at least the `newest` ones."""
        empty = np.zeros(HOUR_BINS, dtype=np.uint8)
        hours = list(self._hours)
        if newest is not None:
            hours = hours[max(0, len(hours) - -(-newest // HOUR_BINS)) :]
        parts = [empty if hour is None else hour for hour in hours]
        return decode_counts(np.concatenate((*parts, self._open[: self._filled])))

    def copy(self) -> "ArrivalHistory":
        """Return a history with the same bins; whole hours are shared, as they never change."""
        history = ArrivalHistory(0)
        history._hours = self._hours.copy()
        history._open, history._filled = self._open.copy(), self._filled
        return history

    def hours(self) -> list[NDArray[np.uint8] | None]:
        """Return the codes of the whole hours, oldest first; None is an hour without a request."""
        return list(self._hours)

    def newest(self) -> NDArray[np.uint8]:
        """Return the codes of the hour that is not whole yet."""
        return self._open[: self._filled]

    def stored_bytes(self) -> int:
        """Return the memory of the counts in bytes, without Python's own."""
        return HOUR_BINS * (1 + sum(hour is not None for hour in self._hours))
