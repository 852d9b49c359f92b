"""Costs and violations of dials on the real arrivals, in sums that fade.

`dials.choice` (how much to insure) and `dials.sleep` (when to sleep) build on these sums. Must
never use what the real replicas did.
"""

from functools import cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, HOUR_BINS, Tuning
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.rows.tables import Rows

SPREAD: Final = 0.5
"""Margin in standard deviations; the error budget covers violations beyond it."""


_LONGEST_HOURS: Final = 100 * 24
"""Ages above count as this one: by then what fades and what is added are equal."""


class Costs(Rows):
    """Sums of n models by c dials: violated requests, their squares by hour, billed seconds."""

    AXES: ClassVar = dict.fromkeys(("violated", "squares", "cost", "requests", "_hour"), 0)

    def __init__(self, size: int, dials: int, tuning: Tuning) -> None:
        """Start with empty sums."""
        shape = (size, dials)
        self.size, self._tuning = size, tuning
        self.violated, self.squares, self.cost = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._hour = np.zeros(shape)
        self.requests = np.zeros(size)

    def account(
        self,
        counts: Floats,
        violated: Floats,
        replicas: Floats,
        *,
        step: int,
        age: NDArray[np.int64],
    ) -> None:
        """Add the results of the dials in the last bin; `replicas` are billed, (n, c).

        `age` (n,) of the models in bins, this bin included.
        """
        self._hour += violated
        self.cost += replicas * BIN_SECONDS
        self.requests += counts
        if step % HOUR_BINS == HOUR_BINS - 1:
            hours = _hours(np.maximum(age - 1, 0))
            self.close_hour(_by_age(self._tuning.half_lives_days)[0][hours])

    def close_hour(self, share: Floats) -> None:
        """Fade older hours: `share` (n,) is the part that stays."""
        self.violated = (self.violated + self._hour) * share[:, None]
        self.squares = (self.squares + self._hour**2) * share[:, None]
        self.cost *= share[:, None]
        self.requests *= share
        self._hour[:] = 0.0

    def counted_seconds(self, age: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the length of the fading window of the sums, (n,); `age` (n,) in bins."""
        whole = _by_age(self._tuning.half_lives_days)[1][_hours(age)]
        return np.asarray(whole + age % HOUR_BINS * BIN_SECONDS)

    def shares(self, rows: NDArray[np.intp], unseen: Floats) -> tuple[Floats, Floats]:
        """Return the share of violated requests, and the same with a margin, both (rows, c).

        The margin: half a standard deviation of the sum over hours, and `unseen` (rows,), the share
        of an outage that did not happen yet.
        """
        violated = self.violated[rows] + self._hour[rows]
        spread = SPREAD * np.sqrt(self.squares[rows] + self._hour[rows] ** 2)
        requests = np.maximum(self.requests[rows], 1.0)[:, None]
        return violated / requests, (violated + spread) / requests + unseen[:, None]


def _hours(age: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(age // HOUR_BINS, _LONGEST_HOURS - 1)


@cache
def _by_age(half_lives_days: tuple[float, float]) -> tuple[NDArray[np.float64], ...]:
    """Return by age in hours the share that stays of all sums, and the seconds in them.

    Worked example: half-lives of 1 to 7 days: at the end of the first hour 97.2 % are kept, so
    3,498 s are counted then; after 7 days 99.6 %.
    """
    shortest, longest = half_lives_days
    days = np.arange(_LONGEST_HOURS) / 24
    shares = 0.5 ** (1 / (24 * np.clip(days, shortest, longest)))
    counted = np.zeros(_LONGEST_HOURS)
    for hour in range(1, _LONGEST_HOURS):
        counted[hour] = (counted[hour - 1] + 3600) * shares[hour - 1]
    return shares, counted
