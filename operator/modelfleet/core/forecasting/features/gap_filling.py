"""Gap filling: arrivals for bins that were not watched, at a steady pace.

`rows.transfer` fills the time between two leaders, `rows.backfill` the holes of a source. The pace
adds neither a burst nor a silence. Must never change a bin that was counted.
"""

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import DAY_BINS, HOUR_BINS, MINUTE_BINS
from modelfleet.core.forecasting.features.whole import RATIO_BOUNDS, Floats


def filled(counts: Floats) -> NDArray[np.float32]:
    """Return `counts` (n,) with whole numbers in place of NaN, which stands for an unknown bin.

    A gap of up to an hour follows a straight line from the mean before it to the mean after it.
    Each mean is taken over as long a time as the gap, from a minute to an hour. At the end of the
    array nothing comes after, and the mean before goes on. A longer gap follows the hourly means of
    the day before, scaled as the profile is. A level of hours ago is no estimate of now. Single
    bins are never copied: a burst would come twice.

    Worked example: 4 4 NaN NaN NaN 4 gives 4 4 4 4 4 4; a quarter of a request in a bin gives one
    request in every fourth bin.
    """
    arrivals = np.array(counts, dtype=np.float32)
    unknown = np.isnan(arrivals)
    edges = np.flatnonzero(np.diff(unknown.astype(np.int8), prepend=0, append=0)).tolist()
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        # A day at a time: the later days of a longer gap follow its own first day.
        for first in range(begin, end, DAY_BINS):
            last = min(end, first + DAY_BINS)
            arrivals[first:last] = spread(_pace(arrivals, first, last))
    return arrivals


def spread(pace: Floats) -> NDArray[np.float32]:
    """Return whole arrivals (n,) of a steady pace (n,), as even as whole numbers can be."""
    sums = np.floor(np.cumsum(pace, dtype=np.float64) + 0.5)
    return np.diff(sums, prepend=0.0).astype(np.float32)


def _pace(counts: Floats, begin: int, end: int) -> Floats:
    size = end - begin
    around = min(max(size, MINUTE_BINS), HOUR_BINS)
    if size > HOUR_BINS and begin >= DAY_BINS + HOUR_BINS:
        return _as_the_day_before(counts, begin, end)
    before = counts[max(0, begin - around) : begin]
    after = counts[end : end + around]
    after = after[~np.isnan(after)]
    sides = [_mean(side) for side in (before, after) if len(side)] or [0.0]
    return np.linspace(sides[0], sides[-1], size)


def _as_the_day_before(counts: Floats, begin: int, end: int) -> Floats:
    low, high = begin - DAY_BINS, end - DAY_BINS
    half = HOUR_BINS // 2
    wide = counts[low - half : min(high + half, begin)].astype(np.float64)
    sums = np.concatenate(([0.0], np.cumsum(wide)))
    here = np.arange(half, half + high - low)
    first, last = here - half, np.minimum(here + half, len(wide))
    means = (sums[last] - sums[first]) / (last - first)
    ratio = (_mean(counts[begin - HOUR_BINS : begin]) + 1e-3) / (
        _mean(counts[low - HOUR_BINS : low]) + 1e-3
    )
    return np.asarray(means * np.clip(ratio, *RATIO_BOUNDS))


def _mean(counts: Floats) -> float:
    return float(np.mean(counts, dtype=np.float64))
