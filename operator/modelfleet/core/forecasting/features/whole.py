"""Features of a whole history at once: demand, features and targets of one model, for fits.

`quantiles.regression` and `quantiles.prior` fit on them. The results equal, up to rounding, what
`live` computes one bin after the other; a test compares the two. Must never look ahead, except in
`fit_targets`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, HOUR_BINS, MINUTE_BINS, Tuning
from modelfleet.core.forecasting.model_figures import ModelFigures

Floats = NDArray[np.floating[Any]]

BLOCK_BINS = 24
"""Envelopes longer than 2 minutes have blocks of 2 minutes: 1/24 of the memory."""
ENVELOPE_BLOCKS = (5, 30, 120, 720)
"""10 minutes, 1 hour, 4 hours, 1 day."""
PROFILE_DAYS = 7
RATIO_BOUNDS = (0.6, 1.6)
FEATURES = 20


def smoothing(service_seconds: float) -> float:
    """Return the weight of the newest bin in the busy slots; 1 for short requests.

    Work stays for the service time s, so its demand decays with time constant s. Worked example: s
    = 5 s: 1 - exp(-5 / 5) = 0.632.
    """
    if service_seconds <= BIN_SECONDS / 2:
        return 1.0
    return 1.0 - float(np.exp(-BIN_SECONDS / service_seconds))


def box_bins(wait_seconds: float) -> int:
    """Return the bins over which demand may be averaged, as a request may wait so long."""
    return max(1, round(wait_seconds / BIN_SECONDS))


def demand(counts: Floats, figures: ModelFigures) -> Floats:
    """Return the busy slots that the arrivals need, for each bin.

    `counts` are arrivals by bin, shape (n,). Worked example: 10 arrivals in 5 s of 0.5 s each are
    10 / 5 * 0.5 = 1 slot.
    """
    load = counts * (figures.service_seconds / BIN_SECONDS)
    weight = smoothing(figures.service_seconds)
    if weight < 1.0:
        load = smoothed(load, weight)
    return trailing_mean(load, box_bins(figures.wait_seconds))


def smoothed(values: Floats, weight: float) -> Floats:
    """Smooth exponentially: y += weight * (x - y) from y = 0; shape (n,).

    The work is done in blocks side by side, whose carries follow: sqrt(n) steps instead of n.
    Worked example: weight 0.5, values 4, 0: 2 and 1.
    """
    size = len(values)
    width = max(1, math.isqrt(size))
    blocks = -(-size // width)
    table = np.zeros((blocks, width))
    table.reshape(-1)[:size] = values
    state = np.zeros(blocks)
    for column in range(width):
        state = state + weight * (table[:, column] - state)
        table[:, column] = state
    carry, decay = 0.0, (1.0 - weight) ** np.arange(1, width + 1)
    for number in range(blocks):
        table[number] += carry * decay
        carry = float(table[number, -1])
    return table.reshape(-1)[:size].astype(np.float32)


def trailing_mean(values: Floats, bins: int) -> Floats:
    """Return the mean of the last `bins` values, of fewer at the begin; same shape."""
    if bins == 1:
        return values.astype(np.float32)
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    here = np.arange(1, len(values) + 1)
    start = np.maximum(here - bins, 0)
    return ((sums[here] - sums[start]) / (here - start)).astype(np.float32)


def trailing_max(values: Floats, count: int) -> Floats:
    """Return the largest of the last `count` values; same shape. Doubling: log2(count) passes."""
    largest, width = values.copy(), 1
    while width < count:
        shift = min(width, count - width)
        largest[shift:] = np.maximum(largest[shift:], largest[:-shift])
        width += shift
    return largest


def envelope(values: Floats, blocks: int) -> Floats:
    """Return the largest value of the present 2-minute block and of `blocks` whole ones before."""
    size = -(-len(values) // BLOCK_BINS) * BLOCK_BINS
    padded = np.zeros(size, dtype=np.float32)
    padded[: len(values)] = values
    by_block = padded.reshape(-1, BLOCK_BINS)
    partial = np.maximum.accumulate(by_block, axis=1)
    past = trailing_max(by_block.max(axis=1), blocks)
    before = np.concatenate((np.zeros(1, dtype=np.float32), past[:-1]))
    return np.asarray(np.maximum(partial, before[:, None]).reshape(-1)[: len(values)])


def by_minute(load: Floats, reduce: str) -> Floats:
    """Return the maximum or mean of each whole minute; shape (n // 12,)."""
    whole = load[: len(load) // MINUTE_BINS * MINUTE_BINS].reshape(-1, MINUTE_BINS)
    return np.asarray(
        whole.max(axis=1) if reduce == "max" else whole.mean(axis=1, dtype=np.float64)
    )


def profile(load: Floats, startup_seconds: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the 50 % and 85 % quantile of earlier days at `now + startup`, where known.

    The third result states where. Each earlier day counts with its highest demand within a minute
    and a half of that time of day. This demand is scaled by the ratio of the last hour to the same
    hour of that day. Constant within a minute.
    """
    peaks, means = by_minute(load, "max"), by_minute(load, "mean")
    minutes = len(peaks)
    hours = np.concatenate(([0.0], np.cumsum(means, dtype=np.float64)))
    # During minute m the minutes up to m - 1 are whole.
    now = np.arange(-(-len(load) // MINUTE_BINS))
    ahead = now + int(startup_seconds // 60)
    rows = []
    for day in range(1, PROFILE_DAYS + 1):
        back = day * 1440
        known = now - back - 60 >= 0
        last = hours[now] - hours[np.maximum(now - 60, 0)]
        then = hours[np.maximum(now - back, 0)] - hours[np.maximum(now - back - 60, 0)]
        ratio = np.clip((last + 1e-3) / (then + 1e-3), *RATIO_BOUNDS)
        peak = np.zeros(len(now))
        for offset in (-1, 0, 1):
            index = np.clip(ahead - back + offset, 0, max(minutes - 1, 0))
            peak = np.maximum(peak, peaks[index] if minutes else 0.0)
        rows.append(np.where(known, peak * ratio, np.nan))
    table = np.stack(rows)
    is_known = ~np.isnan(table[0])
    low, high = quantiles_of_days(table)
    spread = np.repeat(np.arange(len(now)), MINUTE_BINS)[: len(load)]
    return low[spread], high[spread], is_known[spread]


def quantiles_of_days(table: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Return the 50 % and 85 % quantile over the known days.

    `table` (days, m) has NaN where unknown. Linear between order statistics; 0 where no day is
    known. Worked example: days 1, 3: 2 and 2.7.
    """
    ordered = np.sort(table, axis=0)
    known = np.sum(~np.isnan(table), axis=0)
    quantiles = []
    for level in (0.5, 0.85):
        position = level * np.maximum(known - 1, 0)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, np.maximum(known - 1, 0))
        columns = np.arange(table.shape[1])
        below, above = ordered[low, columns], ordered[high, columns]
        value = below + (position - low) * (above - below)
        quantiles.append(np.where(known > 0, value, 0.0).astype(np.float32))
    return quantiles[0], quantiles[1]


def signed(ratio: Floats) -> tuple[Floats, Floats]:
    """Return the positive and the negative part: rises and falls get their own coefficients."""
    return np.maximum(ratio, 0.0), np.minimum(ratio, 0.0)


def features(counts: Floats, figures: ModelFigures, tuning: Tuning) -> tuple[Floats, Floats]:
    """Return the features (n, 20) and the base b (n,): the logarithm of the last minute's demand.

    All but the last of them are logarithms relative to b, so a model's size does not matter.
    """
    load = demand(counts, figures)
    quarter = trailing_mean(load, 3)
    minute = trailing_mean(counts, MINUTE_BINS) * np.minimum(
        np.arange(1, len(counts) + 1), MINUTE_BINS
    )
    low, high, known = profile(load, figures.startup_seconds)
    return DemandLevels(
        minute=trailing_mean(load, MINUTE_BINS),
        levels=(load, quarter, trailing_mean(load, 60), trailing_mean(load, 240)),
        peaks=(
            trailing_max(quarter, BLOCK_BINS),
            *(envelope(quarter, blocks) for blocks in ENVELOPE_BLOCKS),
        ),
        hour=trailing_mean(load, HOUR_BINS),
        minute_requests=minute,
        days=(low, high),
        is_known=known,
    ).columns(tuning.idle_share * figures.slots, tuning)


def squashed(above: Floats) -> Floats:
    """Return how far a peak lies above the present, less than in proportion: z / (1 + z / 6).

    Small distances are noise, which goes on; large ones are a level that has ended. Worked example:
    a peak of twice the present counts 0.62 instead of 0.69, of ten times 1.66 for 2.30.
    """
    high = np.maximum(above, 0.0)
    return np.asarray(high / (1.0 + high / 6.0))


@dataclass(frozen=True, slots=True)
class DemandLevels:
    """Demands in slots from which the features are computed, each (n,).

    `minute` and `hour` are means. `levels` are the newest bin and the means of 15 s, 5 and 20
    minutes. `peaks` are highest 15-s means, `days` is the profile where `is_known`.
    """

    minute: Floats
    levels: Sequence[Floats]
    peaks: Sequence[Floats]
    hour: Floats
    minute_requests: Floats
    days: Sequence[Floats]
    is_known: NDArray[np.bool_]

    def columns(self, idle: Floats | float, tuning: Tuning) -> tuple[Floats, Floats]:
        """Return features (n, 20) and base b (n,), with c0 = `idle`.

        The rows are the bins of one model, or all models at one moment.
        """
        base = np.log(self.minute + idle)
        columns = [np.ones_like(base)]
        for level in self.levels:
            columns += signed(np.log(level + idle) - base)
        off = 1.0 if tuning.has_envelopes else 0.0
        columns += [squashed(np.log(peak + idle) - base) * off for peak in self.peaks]
        columns += [np.log(self.hour + idle) - base, 1.0 / np.sqrt(self.minute_requests + 1.0)]
        shown = self.is_known if tuning.has_profile else np.zeros_like(self.is_known)
        for day in self.days:
            columns += signed(np.where(shown, np.log(day + idle) - base, 0.0))
        return np.stack(columns, axis=-1).astype(np.float32), base.astype(np.float32)


def fit_targets(
    load: Floats, base: Floats, figures: ModelFigures, idle: float
) -> tuple[Floats, Floats]:
    """Return the targets of the two forecasts, relative to b; NaN while the future is unknown.

    Start: highest demand in [t+S, t+S+15 s]. Keep: highest demand in (t, t+S+5 s].
    """
    ahead = startup_bins(figures.startup_seconds)
    size = len(load)
    start = np.full(size, np.nan, dtype=np.float32)
    keep = np.full(size, np.nan, dtype=np.float32)
    last = size - ahead - 3
    if last > 0:
        three = trailing_max(load, 4)
        start[:last] = np.log(three[ahead + 3 : ahead + 3 + last] + idle) - base[:last]
        long = trailing_max(load, ahead + 1)
        keep[:last] = np.log(long[ahead + 1 : ahead + 1 + last] + idle) - base[:last]
    return start, keep


def startup_bins(startup_seconds: float) -> int:
    """Return the bins between an order and the moment its replica serves; at least one."""
    return max(1, round(startup_seconds / BIN_SECONDS))
