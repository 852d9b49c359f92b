"""Quantile regression: forecasts of the highest demand ahead, from the model's own arrivals.

`refit` runs in the background, `predict` at every step for all models. Two linear regressions for
all quantiles at once. Start: the demand that a replica started now will meet. Keep: the highest
demand until then. Must never use the future of the moment that it predicts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import DAY_BINS, TAUS, Tuning
from modelfleet.core.forecasting.features.whole import (
    FEATURES,
    Floats,
    demand,
    features,
    fit_targets,
)
from modelfleet.core.forecasting.model_figures import ModelFigures

SMOOTH = 0.01
"""Half width (in logarithms) within which the pinball loss is rounded off."""
RIDGE, RIDGE_ROWS = 0.002, 150.0
"""Pull towards the prior: RIDGE + RIDGE_ROWS / n for n rows."""
MIN_ROWS = 60
TAIL = np.float32(0.25)
"""Scale of log demand without data: it exceeds the present by x with probability exp(-x / TAIL)."""
ROWS_OF_IDLE, ROWS_OF_REQUEST = 1_000, 4
"""A history has at most as many rows as requests times the second, but not fewer than the first."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Coefficients of both forecasts: arrays (20, 12), features by quantiles."""

    start: Floats
    keep: Floats

    def stacked(self) -> Floats:
        """Return both, shape (2, 20, 12)."""
        return np.stack((self.start, self.keep))


def uninformed() -> Coefficients:
    """Return coefficients without data and prior: the present level, with exponential tails.

    Worked example: the 99 % quantile of the logarithm is 0.25 * 4.6 - 0.1 = 1.05 above the level.
    """
    start = np.zeros((FEATURES, len(TAUS)), dtype=np.float32)
    start[0] = TAIL * -np.log1p(-TAUS) - 0.1
    return Coefficients(start, start.copy())


def rows(
    counts: Floats, figures: ModelFigures, tuning: Tuning, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Return training rows of one history: features (m, 20), targets (m,) and (m,), m <= most_rows.

    The rows are drawn at random from the last `train_days` days; earlier bins still feed the
    features. A history with few requests gets few rows: most of them would be equal rows of
    silence.
    """
    x, base = features(counts, figures, tuning)
    load = demand(counts, figures)
    start, keep = fit_targets(load, base, figures, tuning.idle_share * figures.slots)
    usable = np.flatnonzero(~np.isnan(start))
    usable = usable[usable >= len(counts) - tuning.train_days * DAY_BINS]
    requests = float(counts[-tuning.train_days * DAY_BINS :].sum())
    most = min(tuning.most_rows, max(ROWS_OF_IDLE, int(ROWS_OF_REQUEST * requests)))
    if len(usable) > most:
        drawn = np.random.default_rng(seed).choice(usable, most, replace=False)
        usable = np.sort(drawn)
    return x[usable], start[usable], keep[usable]


def fit(
    x: Floats, y: Floats, prior: Floats, warm: Floats | None = None, steps: int = 200
) -> Floats:
    """Return coefficients (20, 12) that minimise the pinball loss of `y` (m,) given `x` (m, 20).

    Koenker and Bassett 1978; smoothed to have a gradient, with Adam (Kingma and Ba 2014) and the
    mean of the last 30 % of the steps. `warm` are the coefficients of an earlier fit.
    """
    if len(x) < MIN_ROWS:
        return prior if warm is None else warm
    scale = np.maximum(x.std(axis=0), 1e-3)
    scale[0] = 1.0
    scaled = np.ascontiguousarray(x / scale, dtype=np.float32)
    across = np.ascontiguousarray(scaled.T)
    pulled = (prior * scale[:, None]).astype(np.float32)
    weights = pulled.copy() if warm is None else (warm * scale[:, None]).astype(np.float32)
    first_rate = 0.03 if warm is None else 0.015
    ridge = np.float32(RIDGE + RIDGE_ROWS / len(x))
    column = y[:, None].astype(np.float32)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    total, averaged = np.zeros_like(weights), 0
    # One array of (m, 12), written in place: a new array in each step took half of the time.
    below = np.empty((len(x), len(TAUS)), dtype=np.float32)
    for step in range(1, steps + 1):
        np.subtract(column, np.matmul(scaled, weights, out=below), out=below)
        # Derivative of the smoothed pinball loss by the prediction: -(tau - P(error < 0)).
        np.multiply(below, np.float32(-0.5 / SMOOTH), out=below)
        np.clip(np.add(below, np.float32(0.5), out=below), 0.0, 1.0, out=below)
        np.subtract(below, TAUS, out=below)
        gradient = across @ below / np.float32(len(x)) + ridge * (weights - pulled)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient * gradient
        rate = first_rate * (1.0 - 0.9 * step / steps)
        size = np.sqrt(second / (1 - 0.99**step)) + 1e-8
        weights = weights - np.float32(rate) * (first / (1 - 0.9**step)) / size
        if step > 0.7 * steps:
            total += weights
            averaged += 1
    return np.asarray(total / averaged / scale[:, None], dtype=np.float32)


def refit(
    counts: Floats,
    figures: ModelFigures,
    prior: Coefficients,
    warm: Coefficients | None,
    tuning: Tuning,
) -> Coefficients:
    """Return new coefficients of one model from its arrivals by bin, shape (n,), oldest first."""
    x, start, keep = rows(counts, figures, tuning, seed=len(counts))
    steps = tuning.first_steps if warm is None else tuning.next_steps
    return Coefficients(
        fit(x, start, prior.start, warm.start if warm else None, steps),
        fit(x, keep, prior.keep, warm.keep if warm else None, steps),
    )


def predict(x: Floats, coefficients: Floats) -> Floats:
    """Return quantiles (2, n, 12) of logarithms relative to b, sorted over the levels.

    `x` (n, 20); `coefficients` (n, 2, 20, 12).
    """
    quantiles = np.matmul(x[:, None, None, :], coefficients)[:, :, 0, :]
    return np.sort(quantiles, axis=-1).transpose(1, 0, 2)


def at_risk(quantiles: Floats, risks: NDArray[np.float32]) -> Floats:
    """Return the values at the levels 1 - r, linear in -log(1 - tau).

    `quantiles` (..., 12) -> (..., r). Worked example: half-way between the 90 % and the 99 %
    quantile lies the 96.8 % quantile.
    """
    low, share = positions(risks)
    return quantiles[..., low] * (1 - share) + quantiles[..., low + 1] * share


def positions(risks: NDArray[np.float32]) -> tuple[NDArray[np.intp], Floats]:
    """Return for each risk the level below and the share of the way to the next level."""
    ladder = -np.log1p(-TAUS.astype(np.float64))
    wanted = np.clip(-np.log(risks.astype(np.float64)), ladder[0], ladder[-1])
    low = np.clip(np.searchsorted(ladder, wanted, side="right") - 1, 0, len(TAUS) - 2)
    share = (wanted - ladder[low]) / (ladder[low + 1] - ladder[low])
    return low, share.astype(np.float32)
