"""When a model without traffic may sleep: a keep-alive and a pre-warming learned from its gaps.

`Sleep` belongs to `forecasting.policy` and serves models with `minReplicas: 0`. Each candidate (how
long one replica stays after the last request, whether earlier days wake it in time) is replayed on
the real arrivals, always; the cheapest that fits the error budget is followed. Must never count on
replicas that sleep.
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
"""No pre-warming; at what the median of earlier days had in a start-up time from now; at what 85 %
of them stayed below."""
_KEEPS: Final = np.tile(np.array(KEEP_SECONDS), WAKERS)
_WAKER: Final = np.repeat(np.arange(WAKERS), len(KEEP_SECONDS))
_OFF: Final = -1.0
_REACH: Final = MINUTE_BINS
"""Bins after a request that still belong to its session."""
SHARE: Final = 0.5
"""Of the error budget that sleep may spend, as `choice` spends it too. With the whole of it an idle
fleet broke its promise (1.6 % instead of 1 %)."""


class Sleep(Costs):
    """Sleep of n models by 36 candidates."""

    AXES: ClassVar = {
        **Costs.AXES,
        **dict.fromkeys(("quiet", "_session_bins", "_left", "chosen", "is_known"), 0),
    }

    def __init__(self, size: int, tuning: Tuning) -> None:
        """Everybody awake."""
        super().__init__(size, len(_KEEPS), tuning)
        self.quiet = np.zeros(size, dtype=np.int64)
        """Bins since the last request."""
        self._session_bins = np.zeros(size)
        self._left = np.zeros((size, len(_KEEPS)), dtype=np.float32)
        """Seconds until the replica of each candidate is ready; 0 when it is, -1 when it sleeps."""
        self.chosen = np.zeros(size, dtype=np.intp)
        self.is_known = np.zeros(size, dtype=bool)

    def step(
        self,
        counts: Floats,
        days: Floats,
        about: FigureColumns,
        *,
        step: int,
        age: NDArray[np.int64],
    ) -> None:
        """One bin of arrivals (n,) at ages (n,) in bins.

        `days` (2, n) is what earlier days had a start-up from now.

        Worked example: start-up 60 s, 1 s may be waited, keep-alive 300 s: a request after 400 s
        of silence is violated, and so are those of the 60 s after it; the 300 s are billed.
        """
        is_busy = counts > 0
        self.quiet = np.where(is_busy, 0, self.quiet + 1)
        self._session_bins += self.quiet < _REACH
        wakes = _wakes(days)[_WAKER].T
        silent = self.quiet[:, None] * float(BIN_SECONDS)
        is_on = wakes | (silent <= _KEEPS)
        startup = np.broadcast_to(about.startup, self._left.shape)
        begins = is_on & (self._left < 0)
        left = np.where(begins, startup, np.maximum(self._left - BIN_SECONDS, 0.0))
        is_late = left > about.wait
        self._left = np.where(is_on, left, _OFF).astype(np.float32)
        late = np.where(is_late, counts[:, None], 0.0)
        self.account(counts, late, is_on.astype(np.float32), step=step, age=age)

    def close_hour(self, kept: Floats) -> None:
        """Sessions are forgotten as requests are."""
        super().close_hour(kept)
        self._session_bins *= kept

    def choose(self, rows: NDArray[np.intp], limit: Floats, about: FigureColumns) -> None:
        """The cheapest candidate of these rows whose late requests fit half of `limit` (n,).

        Feared is one more wake-up: the requests of a start-up time at the pace of a session.
        """
        pace = self.requests / np.maximum(self._session_bins * BIN_SECONDS, 1.0)
        asleep = np.maximum(about.startup - about.wait, 0.0)[:, 0]
        unseen = np.where(asleep > 0, np.maximum(pace * asleep, 1.0), 0.0)
        _, feared = self.shares(rows, (unseen / np.maximum(self.requests, 1.0))[rows])
        fits = (feared <= SHARE * limit[rows, None]) | np.isinf(_KEEPS)
        self.chosen[rows] = np.where(fits, self.cost[rows], np.inf).argmin(axis=1)
        self.is_known[rows] = True

    def keep_seconds(self) -> Floats:
        """How long a replica of each model stays after its last request, (n,); NaN: not known."""
        return np.asarray(np.where(self.is_known, _KEEPS[self.chosen], np.nan))

    def is_woken(self, days: Floats) -> NDArray[np.bool_]:
        """Models that earlier days wake now, (n,); `days` as in `step`."""
        waker = np.where(self.is_known, _WAKER[self.chosen], 0)
        return np.asarray(_wakes(days)[waker, np.arange(self.size)])


def _wakes(days: Floats) -> NDArray[np.bool_]:
    """By waker and model, (3, n)."""
    return np.stack((np.zeros(days.shape[1], dtype=bool), days[0] > 0, days[1] > 0))
