"""The bank of candidates: what each would start and keep for a given forecast.

Called by `policy.fleet` at each step. A candidate is one dial only (a risk, or a price of a
violation) with a floor; `choice` picks one for each model. Must never depend on replicas.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.policy.forecast import TAIL, at_risk
from modelfleet.core.policy.series import Floats
from modelfleet.core.policy.tuning import PRICES, RISKS, TAUS, Tuning

HIGHEST: Final = 25.0
"""Logarithm of 7e10 slots: a forecast from strange figures must not overflow before its cap."""
_RISKS: Final = np.array(RISKS, dtype=np.float32)
_PRICES: Final = np.array(PRICES, dtype=np.float32)


class Bank:
    """All candidates, in a fixed order: risks with each floor, then prices with the first."""

    def __init__(self, tuning: Tuning) -> None:
        """`risk` is NaN for those that follow a price, and the other way round."""
        floors = tuning.floors
        risks, none_of = np.tile(_RISKS, len(floors)), np.full_like(_PRICES, np.nan)
        self.risk = np.concatenate((risks, none_of))
        self.price = np.concatenate((np.full_like(risks, np.nan), _PRICES))
        sizes = (*(len(RISKS) for _ in floors), len(PRICES))
        self.floor = np.repeat(np.array([*floors, floors[0]], dtype=np.float32), sizes)
        self.is_high = self.floor >= max(floors)
        self.size = len(self.risk)
        self._tuning = tuning
        is_priced = np.isnan(self.risk)
        self.worth = np.where(is_priced, self.price, TAIL / self.risk)
        """What a candidate gives to have one violation less, in the units of a price.

        Where demand beyond the quantile falls off as exp(-x / TAIL), a risk r stands for TAIL / r.
        """
        self.cap = np.where(is_priced, tuning.caps[1], tuning.caps[0]).astype(np.float32)
        """What a candidate asks for by its forecast, at most: times the highest demand of a day."""

    def usable(self, aim: Floats) -> NDArray[np.bool_]:
        """Which candidates a model with that aim may use: shape (n,) -> (n, c)."""
        enough = self.risk[None, :] >= self._tuning.least_risk_share * aim[:, None] * (1 - 1e-6)
        return np.where(np.isnan(self.risk)[None, :], self._tuning.has_prices, enough)

    def cautious(self, limit: Floats) -> NDArray[np.intp]:
        """The candidate for a model about which little is known: the largest risk <= `limit`."""
        fits = self.risk[None, : len(RISKS)] <= limit[:, None] * (1 + 1e-6)
        return np.where(fits.any(axis=1), fits.argmax(axis=1), len(RISKS) - 1)

    def is_within(self, limit: Floats) -> NDArray[np.bool_]:
        """Fixed risks of at most `limit` (n,): shape (n, c)."""
        known = np.nan_to_num(self.risk, nan=np.inf)
        return np.asarray(known[None, :] <= limit[:, None] * (1 + 1e-6))

    def levels(self, quantiles: Floats, base: Floats, idle: Floats) -> tuple[Floats, Floats]:
        """Demand to start for and to keep for, in slots, before floor and cap: two (n, c).

        `quantiles` (2, n, 12) are logarithms relative to `base` (n,). Worked example: base log 8,
        quantile 0.7 at the candidate's risk, c0 = 2: exp(2.08 + 0.7) - 2 = 14.1 slots.
        """
        risk = at_risk(quantiles, _RISKS)
        # A price p buys the level where one more unit of log demand is met p times less often.
        best = (_PRICES[:, None] * TAUS - quantiles[0][:, None, :]).argmax(axis=-1)
        priced = np.stack([np.take_along_axis(side, best, axis=1) for side in quantiles])
        both = np.concatenate((np.tile(risk, len(self._tuning.floors)), priced), axis=-1)
        found = np.exp(np.minimum(base[None, :, None] + both, HIGHEST)) - idle[None, :, None]
        np.maximum(found, 0.0, out=found)
        start = found[0]
        keep = np.maximum(found[1], start) if self._tuning.has_keep_forecast else start
        return start, keep

    def bounded(self, level: Floats, half_minute: Floats, least: Floats, highest: Floats) -> Floats:
        """A level (n, c): at least floor and `least` (n,), at most the cap of `highest` (n,)."""
        low = np.maximum(self.floor[None, :] * half_minute[:, None], least[:, None])
        return np.asarray(np.minimum(np.maximum(level, low), self.cap * highest[:, None]))
