"""Which candidate each model follows: the cheapest whose replayed violations fit the error budget.

`DialChoice` belongs to `forecasting.policy`. Sums what the shadow queues cost, with forgetting;
what was really violated sets the aim. Must never choose a bold candidate for a model that is hardly
known.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, HOUR_BINS, Tuning
from modelfleet.core.forecasting.dials.costs import Costs
from modelfleet.core.forecasting.dials.dials import Dials
from modelfleet.core.forecasting.dials.replay_queues import FigureColumns
from modelfleet.core.forecasting.features.whole import Floats

KNOWN_BINS = 240
"""20 minutes: before, the cautious candidate."""
NEAR = 0.25
"""Without any safe candidate: how far from the least violations a cheaper one may be."""
AIM_BOUNDS = (0.3, 2.0)
FIRST_DAY_SHARE = 0.5
"""Of the error budget, on a model's first day: what it has shown so far was not all it can do."""
BUDGET_HOURS = 6 * 24
"""The error budget holds for any 7 days: the 6 that have passed and the one that comes."""


class DialChoice(Costs):
    """Error budgets of n models, and the candidates chosen for them.

    `account` is told without the requests of a model's first start, which no candidate could have
    served.
    """

    AXES: ClassVar = {
        **Costs.AXES,
        **dict.fromkeys(("aim", "chosen", "recalled", "_next"), 0),
        "lived": 1,
        "missed": 1,
    }
    EMPTY: ClassVar = {"recalled": -1}

    def __init__(self, size: int, bank: Dials, tuning: Tuning) -> None:
        """Everybody cautious."""
        super().__init__(size, bank.size, tuning)
        self._bank = bank
        self.lived = np.zeros((BUDGET_HOURS, size), dtype=np.float32)
        """Requests of each hour of the budget's window, and how many broke the promise."""
        self.missed = np.zeros((BUDGET_HOURS, size), dtype=np.float32)
        self.aim = np.zeros(size)
        self.chosen = np.zeros(size, dtype=np.intp)
        self.recalled = np.full(size, -1, dtype=np.intp)
        """What an earlier leader had chosen, to begin with; -1 where nobody knows."""
        self._next = np.zeros(size, dtype=np.int64)

    def live(self, ended: Floats, missed: Floats, step: int) -> None:
        """What really happened: requests that ended, and those that broke the promise."""
        if step % HOUR_BINS == 0:
            begun = step // HOUR_BINS % BUDGET_HOURS
            self.lived[begun] = self.missed[begun] = 0.0
        hour = step // HOUR_BINS % BUDGET_HOURS
        self.lived[hour] += ended
        self.missed[hour] += missed

    def choose(
        self, age: NDArray[np.int64], promise: Floats, about: FigureColumns, rate: Floats
    ) -> NDArray[np.bool_]:
        """Choose for the models whose time it is; returns which ones. All arrays (n,)."""
        cautious = self._bank.cautious(self._tuning.safety * promise)
        cautious = np.where(self.recalled >= 0, self.recalled, cautious)
        is_young = age < KNOWN_BINS
        self.chosen = np.where(is_young, cautious, self.chosen)
        due = (age >= self._next) & ~is_young & self._tuning.has_tuner
        if not self._tuning.has_tuner:
            self.chosen = cautious
        if not due.any():
            return due
        rows = np.flatnonzero(due)
        self._budget(rows, age, promise, rate)
        best = self._best(rows, age, promise, about, rate)
        self.chosen[rows] = self._still_recalled(rows, age, best)
        wait = np.where(age < DAY_BINS // 2, np.maximum(1, age * 0.08), HOUR_BINS)
        self._next[rows] = age[rows] + wait[rows].astype(np.int64)
        return due

    def _budget(
        self, rows: NDArray[np.intp], age: NDArray[np.int64], promise: Floats, rate: Floats
    ) -> None:
        """What was overspent is paid back within a day; what was saved may be spent.

        Worked example: 1 % promised, 50,000 requests lived with 600 missed, 100,000 expected in a
        day: (0.01 * 150,000 - 600) / 100,000 = 0.9 %.
        """
        aim = promise[rows]
        if self._tuning.has_budget:
            day = np.maximum(rate[rows] * 86_400, 1.0)
            lived, missed = self.lived[:, rows].sum(axis=0), self.missed[:, rows].sum(axis=0)
            left = (aim * (lived + day) - missed) / day
            aim = np.clip(left, AIM_BOUNDS[0] * aim, AIM_BOUNDS[1] * aim)
        is_known = age[rows] >= DAY_BINS
        safety = np.where(is_known, self._tuning.safety_when_known, self._tuning.safety)
        self.aim[rows] = aim * safety

    def _best(
        self,
        rows: NDArray[np.intp],
        age: NDArray[np.int64],
        promise: Floats,
        about: FigureColumns,
        rate: Floats,
    ) -> NDArray[np.intp]:
        usable = self._bank.usable(promise)[rows]
        # On its first day a model takes a larger risk than promised only with the higher floor, and
        # not before it was seen for as long as one surprise uses up the promise.
        known = age[rows] >= DAY_BINS
        is_seen = age[rows] * BIN_SECONDS >= about.memory_seconds(promise)[rows]
        least_aim = self._tuning.least_risk_share * promise[rows] * 1.01
        within = self._bank.is_within(np.maximum(self.aim[rows], least_aim))
        usable &= known[:, None] | within | (is_seen[:, None] & self._bank.is_high)
        # One outage of two start-ups in a day that was not seen yet is feared.
        expected = np.maximum(self.requests[rows], np.maximum(rate[rows] * 86_400, 1.0))
        unseen = rate[rows] * 2 * about.startup[rows, 0] / expected
        share, feared = self.shares(rows, unseen)
        cost = self.cost[rows]
        limit = (self.aim[rows] * np.where(known, 1.0, FIRST_DAY_SHARE))[:, None]
        default = np.take_along_axis(cost, self._bank.cautious(self.aim[rows])[:, None], axis=1)
        safe = usable & (feared <= limit)
        fair = usable & (share <= limit) & (cost >= default)
        least = np.where(usable, share, np.inf).min(axis=1, keepdims=True)
        near = usable & (share <= least + NEAR * np.minimum(least, limit) + 1e-12)
        allowed = np.where(
            safe.any(axis=1, keepdims=True),
            safe,
            np.where(fair.any(axis=1, keepdims=True), fair, near),
        )
        return np.asarray(np.where(allowed, cost, np.inf).argmin(axis=1))

    def _still_recalled(
        self, rows: NDArray[np.intp], age: NDArray[np.int64], best: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """What an earlier leader had chosen stands until the model is known, or it violates."""
        recalled = self.recalled[rows]
        is_known = age[rows] >= DAY_BINS
        requests = np.maximum(self.requests[rows], 1.0)
        violated = (self.violated[rows, recalled] + self._hour[rows, recalled]) / requests
        stands = (recalled >= 0) & ~is_known & (violated <= self.aim[rows])
        return np.where(stands, recalled, best)
