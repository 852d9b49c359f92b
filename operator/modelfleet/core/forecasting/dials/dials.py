"""The dials: how many slots each dial would start and keep for a given forecast.

A dial is a risk with a floor, a least share of the recent peak; `dials.choice` picks one for each
model. Must never depend on replicas.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import RISKS, Tuning
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.quantiles.regression import TAIL, at_risk

HIGHEST: Final = 25.0
"""Logarithm of 7e10 slots: a forecast from extreme figures must not overflow before its cap."""
_RISKS: Final = np.array(RISKS, dtype=np.float32)


class Dials:
    """All dials, in a fixed order: all risks with each floor."""

    def __init__(self, tuning: Tuning) -> None:
        """Fill `risk`, `floor`, `worth` and `is_high` of each dial, shape (c,)."""
        floors = tuning.floors
        self.risk = np.tile(_RISKS, len(floors))
        self.floor = np.repeat(np.array(floors, dtype=np.float32), len(RISKS))
        self.is_high = self.floor >= max(floors)
        self.size = len(self.risk)
        self.median = RISKS.index(0.5)
        """Index of the dial that follows the median of the forecast."""
        self._tuning = tuning
        self.worth = TAIL / self.risk
        """Value of one violation less, in units of capacity, for each dial. Where demand beyond the
        quantile falls off as exp(-x / TAIL), a risk r pays TAIL / r."""

    def usable(self, aim: Floats) -> NDArray[np.bool_]:
        """Return the dials that a model with that aim may use: shape (n,) -> (n, c)."""
        least = self._tuning.least_risk_share * aim[:, None] * (1 - 1e-6)
        return np.asarray(self.risk[None, :] >= least)

    def cautious(self, limit: Floats) -> NDArray[np.intp]:
        """Return the dial for a model with little history: the largest risk <= `limit`."""
        fits = self.risk[None, : len(RISKS)] <= limit[:, None] * (1 + 1e-6)
        return np.where(fits.any(axis=1), fits.argmax(axis=1), len(RISKS) - 1)

    def is_within(self, limit: Floats) -> NDArray[np.bool_]:
        """Return which dials have a risk of at most `limit` (n,): shape (n, c)."""
        return np.asarray(self.risk[None, :] <= limit[:, None] * (1 + 1e-6))

    def levels(self, quantiles: Floats, base: Floats, idle: Floats) -> tuple[Floats, Floats]:
        """Return the demands to start for and to keep for, in slots: two (n, c).

        Both are without floor and cap. `quantiles` (2, n, 12) are logarithms relative to `base`
        (n,). Worked example: base log 8, quantile 0.7 at the dial's risk, c0 = 2: exp(2.08 + 0.7) -
        2 = 14.1 slots.
        """
        above = np.tile(at_risk(quantiles, _RISKS), len(self._tuning.floors))
        demands = np.exp(np.minimum(base[None, :, None] + above, HIGHEST)) - idle[None, :, None]
        np.maximum(demands, 0.0, out=demands)
        start = demands[0]
        keep = np.maximum(demands[1], start) if self._tuning.has_keep_forecast else start
        return start, keep

    def bounded(self, level: Floats, half_minute: Floats, least: Floats, highest: Floats) -> Floats:
        """Bound a level (n, c): at least floor and `least` (n,), at most cap x `highest` (n,)."""
        low = np.maximum(self.floor[None, :] * half_minute[:, None], least[:, None])
        return np.asarray(np.minimum(np.maximum(level, low), self._tuning.cap * highest[:, None]))
