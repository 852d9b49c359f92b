"""Arrivals of one model by bins of 5 s, a byte each: what its forecasts are learned from.

Owned by `forecasting.policy`, one object for each model with traffic; 8 days are 138 KB, hours
without a request cost nothing. Must never hold more than `days`.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import HOUR_BINS

EXACT = 64
GROWTH = 1.05
"""Counts below 64 are exact; above, a code stands for a count within 2.5 %, up to 700,000."""
_TABLE = np.concatenate(
    (np.arange(EXACT), np.rint(EXACT * GROWTH ** np.arange(1, 256 - EXACT + 1)))
).astype(np.float32)
_EDGES = np.concatenate((_TABLE[1:EXACT] - 0.5, (_TABLE[EXACT - 1 : -1] + _TABLE[EXACT:]) / 2))


def encode_counts(counts: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Logarithmic codes of counts; any shape."""
    return np.searchsorted(_EDGES, counts, side="right").astype(np.uint8)


def decode_counts(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Counts of codes; any shape."""
    return np.asarray(_TABLE[codes])


class ArrivalHistory:
    """Hours of counts, oldest first; None is an hour without a request."""

    def __init__(self, days: int) -> None:
        """Keeps that many days."""
        self._hours: deque[NDArray[np.uint8] | None] = deque(maxlen=days * 24)
        self._open = np.zeros(HOUR_BINS, dtype=np.uint8)
        self._filled = 0

    def __len__(self) -> int:
        """Bins."""
        return len(self._hours) * HOUR_BINS + self._filled

    def push(self, code: int) -> None:
        """One more bin."""
        self._open[self._filled] = code
        self._filled += 1
        if self._filled == HOUR_BINS:
            self._hours.append(self._open.copy() if self._open.any() else None)
            self._filled = 0

    def extend(self, codes: NDArray[np.uint8]) -> None:
        """Many more bins at once, oldest first."""
        while len(codes):
            room = HOUR_BINS - self._filled
            first, codes = codes[:room], codes[room:]
            self._open[self._filled : self._filled + len(first)] = first
            self._filled += len(first)
            if self._filled == HOUR_BINS:
                self._hours.append(self._open.copy() if self._open.any() else None)
                self._filled = 0

    def counts(self, newest: int | None = None) -> NDArray[np.float32]:
        """Counts, oldest first, shape (bins,): all, or at least the `newest` that there are."""
        empty = np.zeros(HOUR_BINS, dtype=np.uint8)
        hours = list(self._hours)
        if newest is not None:
            hours = hours[max(0, len(hours) - -(-newest // HOUR_BINS)) :]
        parts = [empty if hour is None else hour for hour in hours]
        return decode_counts(np.concatenate((*parts, self._open[: self._filled])))

    def copy(self) -> "ArrivalHistory":
        """Another one with the same bins; whole hours are shared, as they never change."""
        made = ArrivalHistory(0)
        made._hours = self._hours.copy()
        made._open, made._filled = self._open.copy(), self._filled
        return made

    def hours(self) -> list[NDArray[np.uint8] | None]:
        """Codes of the whole hours, oldest first; None is an hour without a request."""
        return list(self._hours)

    def newest(self) -> NDArray[np.uint8]:
        """Codes of the hour that is not whole yet."""
        return self._open[: self._filled]

    def stored_bytes(self) -> int:
        """Memory of the counts, without Python's own."""
        return HOUR_BINS * (1 + sum(hour is not None for hour in self._hours))
