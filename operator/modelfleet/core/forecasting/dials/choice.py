"""Choice of each model's dial: the cheapest whose replayed violations fit the error budget.

`forecasting.policy` applies the chosen dials to the real replicas. The choice sums the costs of the
replay queues; old ones fade. The real violations set the aim. Must never choose a bold dial for a
model with little history.
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
"""20 minutes: before, a model has a cautious dial."""
NEAR = 0.25
"""Without any safe dial: by this share a cheaper dial may exceed the least violations."""
AIM_BOUNDS = (0.3, 2.0)
FIRST_DAY_SHARE = 0.5
"""Share of the error budget on a model's first day, whose demand may still surprise."""
BUDGET_HOURS = 6 * 24
"""The error budget holds for any 7 days: the 6 that have passed and the one that comes."""


class DialChoice(Costs):
    """Error budgets of n models, and the dials chosen for them.

    `account` must be called without the requests of a model's first start, which no dial could have
    served.
    """

    AXES: ClassVar = {
        **Costs.AXES,
        **dict.fromkeys(("aim", "chosen", "recalled", "_next"), 0),
        "ended": 1,
        "missed": 1,
    }
    EMPTY: ClassVar = {"recalled": -1}

    def __init__(self, size: int, dials: Dials, tuning: Tuning) -> None:
        """Start without models; `dials` are the possible settings."""
        super().__init__(size, dials.size, tuning)
        self._dials = dials
        self.ended = np.zeros((BUDGET_HOURS, size), dtype=np.float32)
        """Requests of each hour of the budget's window, and how many broke the objective."""
        self.missed = np.zeros((BUDGET_HOURS, size), dtype=np.float32)
        self.aim = np.zeros(size)
        self.chosen = np.zeros(size, dtype=np.intp)
        self.recalled = np.full(size, -1, dtype=np.intp)
        """Dial that an earlier leader had chosen, as a start; -1 where there is none."""
        self._next = np.zeros(size, dtype=np.int64)

    def record(self, ended: Floats, missed: Floats, step: int) -> None:
        """Add the real requests that ended, and those of them that broke the objective."""
        if step % HOUR_BINS == 0:
            new_hour = step // HOUR_BINS % BUDGET_HOURS
            self.ended[new_hour] = self.missed[new_hour] = 0.0
        hour = step // HOUR_BINS % BUDGET_HOURS
        self.ended[hour] += ended
        self.missed[hour] += missed

    def choose(
        self, age: NDArray[np.int64], error_budget: Floats, columns: FigureColumns, rate: Floats
    ) -> NDArray[np.bool_]:
        """Choose for the models whose time has come; return which ones. All arrays (n,).

        `error_budget` is the share of requests that may break the objective, `rate` in requests a
        second.
        """
        cautious = self._dials.cautious(self._tuning.safety * error_budget)
        cautious = np.where(self.recalled >= 0, self.recalled, cautious)
        is_young = age < KNOWN_BINS
        self.chosen = np.where(is_young, cautious, self.chosen)
        due = (age >= self._next) & ~is_young & self._tuning.has_tuner
        if not self._tuning.has_tuner:
            self.chosen = cautious
        if not due.any():
            return due
        rows = np.flatnonzero(due)
        self._budget(rows, age, error_budget, rate)
        best = self._best(rows, age, error_budget, columns, rate)
        self.chosen[rows] = self._still_recalled(rows, age, best)
        wait = np.where(age < DAY_BINS // 2, np.maximum(1, age * 0.08), HOUR_BINS)
        self._next[rows] = age[rows] + wait[rows].astype(np.int64)
        return due

    def _budget(
        self, rows: NDArray[np.intp], age: NDArray[np.int64], error_budget: Floats, rate: Floats
    ) -> None:
        """Set the aims: an overspent budget is paid back within a day, a saved one may be spent.

        Worked example: 1 % may break the objective, 50,000 requests ended with 600 missed, 100,000
        expected in a day: (0.01 * 150,000 - 600) / 100,000 = 0.9 %.
        """
        aim = error_budget[rows]
        if self._tuning.has_budget:
            day = np.maximum(rate[rows] * 86_400, 1.0)
            ended, missed = self.ended[:, rows].sum(axis=0), self.missed[:, rows].sum(axis=0)
            left = (aim * (ended + day) - missed) / day
            aim = np.clip(left, AIM_BOUNDS[0] * aim, AIM_BOUNDS[1] * aim)
        is_known = age[rows] >= DAY_BINS
        safety = np.where(is_known, self._tuning.safety_when_known, self._tuning.safety)
        self.aim[rows] = aim * safety

    def _best(
        self,
        rows: NDArray[np.intp],
        age: NDArray[np.int64],
        error_budget: Floats,
        columns: FigureColumns,
        rate: Floats,
    ) -> NDArray[np.intp]:
        usable = self._dials.usable(error_budget)[rows]
        # On its first day a model takes a larger risk than its error budget only with the higher
        # floor, and only once it was watched for as long as one surprise uses up the budget.
        known = age[rows] >= DAY_BINS
        is_seen = age[rows] * BIN_SECONDS >= columns.memory_seconds(error_budget)[rows]
        least_aim = self._tuning.least_risk_share * error_budget[rows] * 1.01
        within = self._dials.is_within(np.maximum(self.aim[rows], least_aim))
        usable &= known[:, None] | within | (is_seen[:, None] & self._dials.is_high)
        # The margin covers one outage of two start-up times in a day that has not happened yet.
        expected = np.maximum(self.requests[rows], np.maximum(rate[rows] * 86_400, 1.0))
        unseen = rate[rows] * 2 * columns.startup[rows, 0] / expected
        share, feared = self.shares(rows, unseen)
        cost = self.cost[rows]
        limit = (self.aim[rows] * np.where(known, 1.0, FIRST_DAY_SHARE))[:, None]
        default = np.take_along_axis(cost, self._dials.cautious(self.aim[rows])[:, None], axis=1)
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
        """Return an earlier leader's dial while the model is new and within its aim.

        Otherwise `best`.
        """
        recalled = self.recalled[rows]
        is_known = age[rows] >= DAY_BINS
        requests = np.maximum(self.requests[rows], 1.0)
        violated = (self.violated[rows, recalled] + self._hour[rows, recalled]) / requests
        stands = (recalled >= 0) & ~is_known & (violated <= self.aim[rows])
        return np.where(stands, recalled, best)
