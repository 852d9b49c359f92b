"""Live features: features of all models now, updated one bin at a time.

`forecasting.policy` feeds the bins; rows are models. The results equal `whole.features` of the
row's history. A bin takes about a millisecond for a thousand models, as every window is a running
sum or a maximum over blocks. Must never loop over single models in Python.
"""

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, HOUR_BINS, MINUTE_BINS, Tuning
from modelfleet.core.forecasting.features.whole import (
    BLOCK_BINS,
    ENVELOPE_BLOCKS,
    PROFILE_DAYS,
    RATIO_BOUNDS,
    DemandLevels,
    Floats,
    quantiles_of_days,
)
from modelfleet.core.forecasting.rows.tables import Rows

DAY_BLOCKS: Final = ENVELOPE_BLOCKS[-1]
FLOOR_BLOCKS: Final = np.array([1, 3, 10, 30, 60])
"""Windows of the floor, 2 minutes to 2 hours."""
MINUTES: Final = (PROFILE_DAYS + 1) * 1440
MAX_BOX_BINS: Final = 240
_QUARTER, _LOAD, _HALF = range(3)
_PAST: Final = (
    *((_QUARTER, count) for count in ENVELOPE_BLOCKS),
    (_LOAD, DAY_BLOCKS),
    *((_HALF, int(count)) for count in FLOOR_BLOCKS),
)
"""Maxima over blocks of 2 minutes: which value, and over how many blocks."""


class LiveFeatures(Rows):
    """Windows over the arrivals of `size` models, all on one clock of 5-s bins."""

    AXES: ClassVar = {
        **dict.fromkeys(("age", "load", "quarter", "_smoothed", "_minute_peak", "_minute_sum"), 0),
        **dict.fromkeys(("_sums", "_raw_sums", "_quarters", "_recent", "_peaks", "_means"), 1),
        "_blocks": 2,
        "_partial": 1,
        "_past": 1,
        "days": 1,
        "_days_known": 0,
    }

    def __init__(self, size: int, tuning: Tuning) -> None:
        """Start with empty windows."""
        self.size, self.tuning = size, tuning
        self.bins = 0
        """Steps made since this object began."""
        self.age = np.zeros(size, dtype=np.int64)
        self.load = np.zeros(size, dtype=np.float32)
        self.quarter = np.zeros(size, dtype=np.float32)
        self._smoothed = np.zeros(size)
        self._raw_sums = np.zeros((MAX_BOX_BINS + 1, size))
        self._sums = np.zeros((HOUR_BINS + 1, size))
        self._recent = np.zeros((MINUTE_BINS, size), dtype=np.float32)
        self._quarters = np.zeros((BLOCK_BINS, size), dtype=np.float32)
        self._blocks = np.zeros((3, DAY_BLOCKS, size), dtype=np.float32)
        self._partial = np.zeros((3, size), dtype=np.float32)
        self._past = np.zeros((len(_PAST), size), dtype=np.float32)
        self._minute_peak = np.zeros(size, dtype=np.float32)
        self._minute_sum = np.zeros(size)
        # Half floats need half the memory. They hold logarithms, since a half float ends at 65,504.
        self._peaks = np.zeros((MINUTES, size), dtype=np.float16)
        self._means = np.zeros((MINUTES, size), dtype=np.float16)
        self.days = np.zeros((2, size), dtype=np.float32)
        self._days_known = np.zeros(size, dtype=bool)

    def push(
        self, counts: Floats, per_bin: Floats, weight: Floats, box: NDArray[np.intp], ahead: Floats
    ) -> None:
        """Add one more bin of arrivals, shape (n,).

        `per_bin` = s / 5 turns arrivals into busy slots, `weight` smooths them. `box` is the number
        of bins in the allowed wait, over which a mean is taken. `ahead` is the start-up time in
        seconds.
        """
        if self.bins % MINUTE_BINS == 0:
            self._profile(ahead)
        step = self.bins
        self.bins += 1
        self.age += 1
        self._smoothed += weight * (counts * per_bin - self._smoothed)
        self._add(self._raw_sums, self._smoothed)
        self.load = self._mean_of(self._raw_sums, np.minimum(box, MAX_BOX_BINS))
        self._add(self._sums, self.load)
        self._recent[step % MINUTE_BINS] = counts
        self.quarter = self._mean(3)
        self._quarters[step % BLOCK_BINS] = self.quarter
        self._envelopes(step)
        self._minute(step)

    def _add(self, sums: NDArray[np.float64], value: Floats) -> None:
        sums[self.bins % len(sums)] = sums[(self.bins - 1) % len(sums)] + value

    def _mean_of(self, sums: NDArray[np.float64], bins: NDArray[np.intp] | int) -> Floats:
        known = np.minimum(bins, self.age)
        before = sums[(self.bins - known) % len(sums), np.arange(self.size)]
        mean = (sums[self.bins % len(sums)] - before) / np.maximum(known, 1)
        return np.asarray(mean, dtype=np.float32)

    def _mean(self, bins: int) -> Floats:
        return np.maximum(self._mean_of(self._sums, bins), 0.0)

    def _envelopes(self, step: int) -> None:
        values = np.stack((self.quarter, self.load, self._mean(6)))
        if step % BLOCK_BINS:
            np.maximum(self._partial, values, out=self._partial)
            return
        newest = step // BLOCK_BINS - 1
        self._blocks[:, newest % DAY_BLOCKS] = self._partial
        self._partial = values
        for index, (kind, count) in enumerate(_PAST):
            blocks = np.arange(newest - count + 1, newest + 1) % DAY_BLOCKS
            self._past[index] = self._blocks[kind, blocks].max(axis=0)

    def _minute(self, step: int) -> None:
        np.maximum(self._minute_peak, self.load, out=self._minute_peak)
        self._minute_sum += self.load
        if step % MINUTE_BINS == MINUTE_BINS - 1:
            index = step // MINUTE_BINS % MINUTES
            self._peaks[index] = np.log1p(self._minute_peak)
            self._means[index] = np.log1p(self._minute_sum / MINUTE_BINS)
            self._minute_peak[:] = 0.0
            self._minute_sum[:] = 0.0

    def _profile(self, ahead: Floats) -> None:
        """Compute the profile, as `whole.profile`, for the minute that begins."""
        minute = self.bins // MINUTE_BINS
        begun = minute - self.age // MINUTE_BINS
        rows = np.arange(self.size)
        target = minute + (ahead // 60).astype(np.intp)
        last = self._hour_before(minute)
        table = np.full((PROFILE_DAYS, self.size), np.nan)
        for day in range(1, PROFILE_DAYS + 1):
            back = minute - day * 1440
            known = back - 60 >= begun
            if not known.any():
                break
            ratio = np.clip((last + 1e-3) / (self._hour_before(back) + 1e-3), *RATIO_BOUNDS)
            around = [np.minimum(target - day * 1440 + i, minute - 1) % MINUTES for i in (-1, 0, 1)]
            peak = np.expm1(
                np.max([self._peaks[i, rows] for i in around], axis=0), dtype=np.float64
            )
            table[day - 1] = np.where(known, peak * ratio, np.nan)
        self.days = np.stack(quantiles_of_days(table))
        self._days_known = ~np.isnan(table[0])

    def _hour_before(self, minute: int) -> NDArray[np.float64]:
        """Return the sum of the means of the 60 minutes before."""
        index = np.arange(max(minute - 60, 0), max(minute, 0)) % MINUTES
        return np.asarray(np.expm1(self._means[index], dtype=np.float64).sum(axis=0))

    def _highest(self, index: int) -> Floats:
        return np.asarray(np.maximum(self._partial[_PAST[index][0]], self._past[index]))

    def highest_day(self) -> Floats:
        """Return the highest demand of the last day, in slots."""
        return self._highest(len(ENVELOPE_BLOCKS))

    def highest_half_minute(self, memory_seconds: Floats) -> Floats:
        """Return the highest 30-s mean of at least the last `memory_seconds`, in slots.

        The window is at most 2 hours.
        """
        blocks = np.minimum(memory_seconds / (BLOCK_BINS * BIN_SECONDS), FLOOR_BLOCKS[-1])
        index = np.searchsorted(FLOOR_BLOCKS, blocks)
        past = self._past[len(ENVELOPE_BLOCKS) + 1 + index, np.arange(self.size)]
        return np.asarray(np.maximum(self._partial[_HALF], past))

    def sustained(self, startup_bins: NDArray[np.intp]) -> Floats:
        """Return demand that has lasted: the least mean of 15 s, a minute and a start-up time.

        `startup_bins` (n,); a minute to an hour of it counts. 0 for a model younger than that.
        """
        bins = np.clip(startup_bins, MINUTE_BINS, HOUR_BINS)
        longest = np.where(self.age >= bins, self._mean_of(self._sums, bins), 0.0)
        return np.minimum(np.minimum(self.quarter, self._mean(MINUTE_BINS)), longest)

    def hour_mean(self) -> Floats:
        """Return the mean demand of the last hour, in slots."""
        return self._mean(HOUR_BINS)

    def features(self, idle: Floats) -> tuple[Floats, Floats]:
        """Return features (n, 20) and base b (n,) of this moment; `idle` is c0 of each model."""
        return DemandLevels(
            minute=self._mean(MINUTE_BINS),
            levels=(self.load, self.quarter, self._mean(60), self._mean(240)),
            peaks=(self._quarters.max(axis=0), *map(self._highest, range(len(ENVELOPE_BLOCKS)))),
            hour=self.hour_mean(),
            minute_requests=self._recent.sum(axis=0),
            days=tuple(self.days),
            is_known=self._days_known,
        ).columns(idle, self.tuning)
