"""Sleep of a model without traffic: a keep-alive and a pre-warming learned from its gaps.

`forecasting.policy` uses it for models with `minReplicas: 0`. A setting is a keep-alive (how long
one replica stays after the last request) and whether earlier days wake the model in time. Each
setting is always replayed on the real arrivals; the cheapest that fits the error budget is used.
Must never count on replicas that sleep.
"""

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, MINUTE_BINS, Tuning
from modelfleet.core.forecasting.dials.costs import Costs
from modelfleet.core.forecasting.dials.replay_queues import FigureColumns
from modelfleet.core.forecasting.features.whole import Floats

NEVER: Final = float("inf")
KEEP_SECONDS: Final = (60, 120, 300, 600, 1200, 2400, 3600, 7200, 14_400, 28_800, 57_600, NEVER)
WAKERS: Final = 3
"""Kinds of pre-warming: none; where the median of earlier days had requests a start-up time from
now; where their 85 % quantile had some."""
_KEEPS: Final = np.tile(np.array(KEEP_SECONDS), WAKERS)
_WAKER: Final = np.repeat(np.arange(WAKERS), len(KEEP_SECONDS))
_OFF: Final = -1.0
_REACH: Final = MINUTE_BINS
"""Bins after a request that still belong to its session."""
SHARE: Final = 0.5
"""Share of the error budget for sleep; `choice` spends the budget too. With the whole of it the
models of an idle fleet broke their objective (1.6 % instead of 1 %)."""


class Sleep(Costs):
    """Sleep of n models by 36 settings."""

    AXES: ClassVar = {
        **Costs.AXES,
        **dict.fromkeys(("quiet", "_session_bins", "_left", "chosen", "is_known"), 0),
    }

    def __init__(self, size: int, tuning: Tuning) -> None:
        """Start with all models awake."""
        super().__init__(size, len(_KEEPS), tuning)
        self.quiet = np.zeros(size, dtype=np.int64)
        """Bins since the last request."""
        self._session_bins = np.zeros(size)
        self._left = np.zeros((size, len(_KEEPS)), dtype=np.float32)
        """Seconds until the replica of each setting is ready; 0 when ready, -1 when it sleeps."""
        self.chosen = np.zeros(size, dtype=np.intp)
        self.is_known = np.zeros(size, dtype=bool)

    def step(
        self,
        counts: Floats,
        days: Floats,
        columns: FigureColumns,
        *,
        step: int,
        age: NDArray[np.int64],
    ) -> None:
        """Process one bin of arrivals (n,) at ages (n,) in bins.

        `days` (2, n) are the demands of earlier days a start-up time from now.

        Worked example: start-up 60 s, 1 s may be waited, keep-alive 300 s: a request after 400 s of
        silence is violated, and so are those of the 60 s after it; the 300 s are billed.
        """
        is_busy = counts > 0
        self.quiet = np.where(is_busy, 0, self.quiet + 1)
        self._session_bins += self.quiet < _REACH
        wakes = _wakes(days)[_WAKER].T
        silent = self.quiet[:, None] * float(BIN_SECONDS)
        is_on = wakes | (silent <= _KEEPS)
        startup = np.broadcast_to(columns.startup, self._left.shape)
        begins = is_on & (self._left < 0)
        left = np.where(begins, startup, np.maximum(self._left - BIN_SECONDS, 0.0))
        is_late = left > columns.wait
        self._left = np.where(is_on, left, _OFF).astype(np.float32)
        late = np.where(is_late, counts[:, None], 0.0)
        self.account(counts, late, is_on.astype(np.float32), step=step, age=age)

    def close_hour(self, share: Floats) -> None:
        """Fade the time in sessions like the requests."""
        super().close_hour(share)
        self._session_bins *= share

    def choose(self, rows: NDArray[np.intp], limit: Floats, columns: FigureColumns) -> None:
        """Choose for these rows the cheapest setting that fits half of `limit` (n,).

        The setting's late requests count, and as a margin one more wake-up: the requests of a
        start-up time at the pace of a session.
        """
        pace = self.requests / np.maximum(self._session_bins * BIN_SECONDS, 1.0)
        asleep = np.maximum(columns.startup - columns.wait, 0.0)[:, 0]
        unseen = np.where(asleep > 0, np.maximum(pace * asleep, 1.0), 0.0)
        _, feared = self.shares(rows, (unseen / np.maximum(self.requests, 1.0))[rows])
        fits = (feared <= SHARE * limit[rows, None]) | np.isinf(_KEEPS)
        self.chosen[rows] = np.where(fits, self.cost[rows], np.inf).argmin(axis=1)
        self.is_known[rows] = True

    def keep_seconds(self) -> Floats:
        """Return the seconds that a replica stays after its last request, (n,); NaN: unknown."""
        return np.asarray(np.where(self.is_known, _KEEPS[self.chosen], np.nan))

    def is_woken(self, days: Floats) -> NDArray[np.bool_]:
        """Return the models that earlier days wake now, (n,); `days` as in `step`."""
        waker = np.where(self.is_known, _WAKER[self.chosen], 0)
        return np.asarray(_wakes(days)[waker, np.arange(self.size)])


def _wakes(days: Floats) -> NDArray[np.bool_]:
    """Return by kind of pre-warming and model whether it wakes the model, (3, n)."""
    return np.stack((np.zeros(days.shape[1], dtype=bool), days[0] > 0, days[1] > 0))
