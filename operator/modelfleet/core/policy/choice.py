"""Which candidate each model follows: the cheapest whose replayed violations fit the error budget.

`Choice` belongs to `policy.fleet`. Sums what the shadow queues cost, with forgetting; what was
really violated sets the aim. Must never choose a bold candidate for a model that is hardly known.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.policy.bank import Bank
from modelfleet.core.policy.rows import Rows
from modelfleet.core.policy.series import Floats
from modelfleet.core.policy.shadow import About
from modelfleet.core.policy.tuning import BIN_SECONDS, DAY_BINS, HOUR_BINS, Tuning

KNOWN_BINS = 240
"""20 minutes: before, the cautious candidate."""
BURSTS_KNOWN = 12
NEAR = 0.25
"""Without any safe candidate: how far from the least violations a cheaper one may be."""
AIM_BOUNDS = (0.3, 2.0)
BUDGET_HOURS = 6 * 24
"""The error budget holds for any 7 days: the 6 that have passed and the one that comes."""


class Choice(Rows):
    """Costs of n models by c candidates, their error budgets, and the chosen candidates."""

    AXES: ClassVar = {
        **dict.fromkeys(("violated", "squares", "cost", "requests", "_hour", "aim", "chosen"), 0),
        **dict.fromkeys(("_next", "_last_burst", "_bursts"), 0),
        "lived": 1,
        "missed": 1,
    }
    EMPTY: ClassVar = {"_last_burst": -(10**9)}

    def __init__(self, size: int, bank: Bank, tuning: Tuning) -> None:
        """Everybody cautious."""
        shape = (size, bank.size)
        self.size, self._bank, self._tuning = size, bank, tuning
        self.violated, self.squares, self.cost = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._hour = np.zeros(shape)
        self.requests = np.zeros(size)
        self.lived = np.zeros((BUDGET_HOURS, size), dtype=np.float32)
        """Requests of each hour of the budget's window, and how many broke the promise."""
        self.missed = np.zeros((BUDGET_HOURS, size), dtype=np.float32)
        self.aim = np.zeros(size)
        self.chosen = np.zeros(size, dtype=np.intp)
        self._next = np.zeros(size, dtype=np.int64)
        self._last_burst = np.full(size, -(10**9), dtype=np.int64)
        self._bursts = np.zeros(size, dtype=np.int64)
        self._keep_hour = 0.5 ** (1 / (24 * tuning.half_life_days))

    def account(self, counts: Floats, violated: Floats, replicas: Floats, step: int) -> None:
        """What the shadow queues did in the last bin; `replicas` are billed, (n, c).

        `counts` and `violated` without those of a model's first start, which no candidate could
        have served.
        """
        self._hour += violated
        self.cost += replicas * BIN_SECONDS
        self.requests += counts
        if step % HOUR_BINS == HOUR_BINS - 1:
            self.violated = (self.violated + self._hour) * self._keep_hour
            self.squares = (self.squares + self._hour**2) * self._keep_hour
            self.cost *= self._keep_hour
            self.requests *= self._keep_hour
            following = (step // HOUR_BINS + 1) % BUDGET_HOURS
            self.lived[following] = self.missed[following] = 0.0
            self._hour[:] = 0.0

    def live(self, ended: Floats, missed: Floats, step: int) -> None:
        """What really happened: requests that ended, and those that broke the promise."""
        hour = step // HOUR_BINS % BUDGET_HOURS
        self.lived[hour] += ended
        self.missed[hour] += missed

    def note_bursts(self, quarter: Floats, hour: Floats, about: About, step: int) -> None:
        """Count bursts: 15-s mean above twice the mean of the hour, a start-up time apart."""
        is_new = (quarter > 2 * hour) & (step - self._last_burst > about.delay)
        self._bursts += is_new
        self._last_burst = np.where(quarter > 2 * hour, step, self._last_burst)

    def choose(
        self, age: NDArray[np.int64], promise: Floats, about: About, rate: Floats
    ) -> NDArray[np.bool_]:
        """Choose for the models whose time it is; returns which ones. All arrays (n,)."""
        cautious = self._bank.cautious(self._tuning.safety * promise)
        is_young = age < KNOWN_BINS
        self.chosen = np.where(is_young, cautious, self.chosen)
        due = (age >= self._next) & ~is_young & self._tuning.has_tuner
        if not self._tuning.has_tuner:
            self.chosen = cautious
        if not due.any():
            return due
        rows = np.flatnonzero(due)
        self._budget(rows, promise, rate)
        self.chosen[rows] = self._best(rows, age, promise, about, rate)
        wait = np.where(age < DAY_BINS // 2, np.maximum(1, age * 0.08), HOUR_BINS)
        self._next[rows] = age[rows] + wait[rows].astype(np.int64)
        return due

    def _budget(self, rows: NDArray[np.intp], promise: Floats, rate: Floats) -> None:
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
        self.aim[rows] = aim * self._tuning.safety

    def _best(
        self,
        rows: NDArray[np.intp],
        age: NDArray[np.int64],
        promise: Floats,
        about: About,
        rate: Floats,
    ) -> NDArray[np.intp]:
        usable = self._bank.usable(promise)[rows]
        known = (age[rows] >= DAY_BINS) | (self._bursts[rows] >= BURSTS_KNOWN)
        least_aim = self._tuning.least_risk_share * promise[rows] * 1.01
        usable &= known[:, None] | self._bank.is_within(np.maximum(self.aim[rows], least_aim))
        violated = self.violated[rows] + self._hour[rows]
        requests = np.maximum(self.requests[rows], 1.0)[:, None]
        spread = np.sqrt(self.squares[rows] + self._hour[rows] ** 2)
        # One outage of two start-ups that was not seen yet is feared.
        unseen = (rate[rows] * 2 * about.startup[rows, 0])[:, None]
        limit = self.aim[rows][:, None]
        cost, share = self.cost[rows], violated / requests
        default = np.take_along_axis(cost, self._bank.cautious(self.aim[rows])[:, None], axis=1)
        safe = usable & ((violated + spread + unseen) / requests <= limit)
        fair = usable & (share <= limit) & (cost >= default)
        least = np.where(usable, share, np.inf).min(axis=1, keepdims=True)
        near = usable & (share <= least + NEAR * np.minimum(least, limit) + 1e-12)
        allowed = np.where(
            safe.any(axis=1, keepdims=True),
            safe,
            np.where(fair.any(axis=1, keepdims=True), fair, near),
        )
        return np.asarray(np.where(allowed, cost, np.inf).argmin(axis=1))
