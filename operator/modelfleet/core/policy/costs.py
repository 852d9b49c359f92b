"""What candidates would have cost and violated, summed with forgetting.

The base of `choice` (how much to insure) and of `rest` (when to sleep). Must never see what the
real replicas did.
"""

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.policy.rows import Rows
from modelfleet.core.policy.series import Floats
from modelfleet.core.policy.tuning import BIN_SECONDS, HOUR_BINS, Tuning

SPREAD: Final = 0.5
"""Standard deviations of margin: what goes wrong in spite of it, the error budget pays back."""


class Costs(Rows):
    """Of n models by c candidates: violated requests, their squares by hour, billed seconds."""

    AXES: ClassVar = dict.fromkeys(("violated", "squares", "cost", "requests", "_hour"), 0)

    def __init__(self, size: int, candidates: int, tuning: Tuning) -> None:
        """Nothing seen."""
        shape = (size, candidates)
        self.size, self._tuning = size, tuning
        self.violated, self.squares, self.cost = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._hour = np.zeros(shape)
        self.requests = np.zeros(size)
        self._keep_hour = 0.5 ** (1 / (24 * tuning.half_life_days))

    def account(self, counts: Floats, violated: Floats, replicas: Floats, step: int) -> None:
        """What the candidates did in the last bin; `replicas` are billed, (n, c)."""
        self._hour += violated
        self.cost += replicas * BIN_SECONDS
        self.requests += counts
        if step % HOUR_BINS == HOUR_BINS - 1:
            self.close_hour()

    def close_hour(self) -> None:
        """Older hours count less."""
        self.violated = (self.violated + self._hour) * self._keep_hour
        self.squares = (self.squares + self._hour**2) * self._keep_hour
        self.cost *= self._keep_hour
        self.requests *= self._keep_hour
        self._hour[:] = 0.0

    def shares(self, rows: NDArray[np.intp], unseen: Floats) -> tuple[Floats, Floats]:
        """Share of the requests violated, and the same with a margin, both (rows, c).

        The margin: half a standard deviation of the sum over hours, and `unseen` (rows,), the
        share of an outage that did not happen yet.
        """
        violated = self.violated[rows] + self._hour[rows]
        spread = SPREAD * np.sqrt(self.squares[rows] + self._hour[rows] ** 2)
        requests = np.maximum(self.requests[rows], 1.0)[:, None]
        return violated / requests, (violated + spread) / requests + unseen[:, None]
