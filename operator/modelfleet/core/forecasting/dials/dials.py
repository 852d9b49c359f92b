"""The bank of candidates: what each would start and keep for a given forecast.

Called by `forecasting.policy` at each step. A candidate is a risk with a floor; `choice` picks one
for each model. Must never depend on replicas.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import RISKS, Tuning
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.quantiles.regression import TAIL, at_risk

HIGHEST: Final = 25.0
"""Logarithm of 7e10 slots: a forecast from strange figures must not overflow before its cap."""
_RISKS: Final = np.array(RISKS, dtype=np.float32)


class Dials:
    """All candidates, in a fixed order: all risks with each floor."""

    def __init__(self, tuning: Tuning) -> None:
        """`risk`, `floor`, `worth` and `is_high` are of each candidate, shape (c,)."""
        floors = tuning.floors
        self.risk = np.tile(_RISKS, len(floors))
        self.floor = np.repeat(np.array(floors, dtype=np.float32), len(RISKS))
        self.is_high = self.floor >= max(floors)
        self.size = len(self.risk)
        self.median = RISKS.index(0.5)
        """The candidate that follows the median of the forecast."""
        self._tuning = tuning
        self.worth = TAIL / self.risk
        """What a candidate gives to have one violation less, in units of capacity: where demand
        beyond the quantile falls off as exp(-x / TAIL), a risk r pays TAIL / r."""

    def usable(self, aim: Floats) -> NDArray[np.bool_]:
        """Which candidates a model with that aim may use: shape (n,) -> (n, c)."""
        least = self._tuning.least_risk_share * aim[:, None] * (1 - 1e-6)
        return np.asarray(self.risk[None, :] >= least)

    def cautious(self, limit: Floats) -> NDArray[np.intp]:
        """The candidate for a model about which little is known: the largest risk <= `limit`."""
        fits = self.risk[None, : len(RISKS)] <= limit[:, None] * (1 + 1e-6)
        return np.where(fits.any(axis=1), fits.argmax(axis=1), len(RISKS) - 1)

    def is_within(self, limit: Floats) -> NDArray[np.bool_]:
        """Risks of at most `limit` (n,): shape (n, c)."""
        return np.asarray(self.risk[None, :] <= limit[:, None] * (1 + 1e-6))

    def levels(self, quantiles: Floats, base: Floats, idle: Floats) -> tuple[Floats, Floats]:
        """Demand to start for and to keep for, in slots, before floor and cap: two (n, c).

        `quantiles` (2, n, 12) are logarithms relative to `base` (n,). Worked example: base log 8,
        quantile 0.7 at the candidate's risk, c0 = 2: exp(2.08 + 0.7) - 2 = 14.1 slots.
        """
        above = np.tile(at_risk(quantiles, _RISKS), len(self._tuning.floors))
        found = np.exp(np.minimum(base[None, :, None] + above, HIGHEST)) - idle[None, :, None]
        np.maximum(found, 0.0, out=found)
        start = found[0]
        keep = np.maximum(found[1], start) if self._tuning.has_keep_forecast else start
        return start, keep

    def bounded(self, level: Floats, half_minute: Floats, least: Floats, highest: Floats) -> Floats:
        """A level (n, c): at least floor and `least` (n,), at most the cap times `highest` (n,)."""
        low = np.maximum(self.floor[None, :] * half_minute[:, None], least[:, None])
        return np.asarray(np.minimum(np.maximum(level, low), self._tuning.cap * highest[:, None]))
