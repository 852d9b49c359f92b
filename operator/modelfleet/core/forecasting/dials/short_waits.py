"""Short waits: the random part of a wait within a bin, which a fluid queue of 5-s bins lacks.

`dials.replay_queues` adds the late requests, `forecasting.policy` the slots above the demand. Only
where the allowed wait is shorter than a bin: longer waits build up over bins, and the fluid queue
has them. Must never count again what the counts of the bins already show.
"""

import numpy as np

from modelfleet.core.forecasting.constants import BIN_SECONDS
from modelfleet.core.forecasting.features.whole import Floats

LINEAR, SQUARE = 1.25, 0.3
"""-log C = LINEAR * b + SQUARE * b^2 for the share C of requests that meet no free slot. The slots
are b standard deviations above the load (Halfin and Whitt 1981, within 3 % for b of 0.5 to 3). The
deviations are counted between square roots (Anscombe 1948), so the formula also holds for a load of
1."""
LEAST = 1e-6


class ShortWaits:
    """Short waits of n models; arguments and results broadcast to (n, c)."""

    def __init__(self, wait: Floats, service: Floats) -> None:
        """Set the allowed `wait` and the `service` time in seconds, both (n, 1)."""
        self._ratio = wait / service
        self._hidden = np.maximum(0.0, 1.0 - wait / BIN_SECONDS)
        self.matters = bool((self._hidden > 0).any())
        """Whether any of the models may wait less than a bin."""
        # The load of Poisson arrivals varies by its mean; a fluid fed with counts of bins of length
        # B shows s / B - (s / B)^2 (1 - exp(-B / s)) of that.
        bins = service / BIN_SECONDS
        self._unseen = 1.0 - (bins + bins**2 * np.expm1(-1.0 / bins))
        # A request does not wait for itself: its mean part of the load of its own bin.
        leaving = 1.0 / np.maximum(service, 1.0)
        steps = np.arange(1, BIN_SECONDS + 1, dtype=np.float32)
        there = ((1.0 - (1.0 - leaving) ** steps) / leaving).mean(axis=1, keepdims=True)
        self._own = there * np.minimum(service, 1.0) / BIN_SECONDS
        self._building = service / (4 * BIN_SECONDS)

    def late(self, met: Floats, slots: Floats) -> Floats:
        """Return the share of a bin's requests that wait too long by chance, (n, c).

        `met` (n, c) are the requests in the system that a request meets, itself included; `slots`
        (n, c) that are ready. The formula is Erlang's delay formula with the part of the variance
        that the fluid does not show. It leaves out what cannot build up within a bin: a queue of x
        requests takes x^2 s / 4 B slots in the exponent, as a random walk does.

        Worked example: a load of 10 on 16 slots, service 0.05 s, 0.01 s allowed: 2 (4 - 3.16) are
        1.68 deviations, so 5.2 % meet no free slot, and exp(-6 * 0.2) of them wait too long: 1.6 %
        (Erlang C: 1.7 %).
        """
        load = np.maximum(met - self._own, LEAST)
        spare = np.maximum(slots - load, 0.0)
        between = np.maximum(np.sqrt(slots) - np.sqrt(load), 0.0)
        deviations = 2.0 / np.sqrt(self._unseen) * between
        none_free = deviations * (LINEAR + SQUARE * deviations)
        room = np.maximum(slots * (1.0 + self._ratio) - np.maximum(load, slots), 0.0)
        building = room**2 * self._building / np.maximum(slots, LEAST)
        share = np.exp(-none_free - spare * self._ratio - building)
        # A single request does not wait: one slot is busy for a share of the time, its load.
        share = np.minimum(share, load / np.maximum(slots, LEAST))
        return np.asarray(self._hidden * np.where(slots > 0, share, 0.0), dtype=np.float32)

    def staffed(self, level: Floats, median: Floats, risk: Floats) -> Floats:
        """Return the slots with which `level` (n, c) is late by chance in a share `risk` of cases.

        `middle` (n, 1) is the median of the demand. The level's distance from it and the random
        part are independent, so their squares add up. `risk` is (1, c) or (n, 1).

        Worked example: 20 requests/s of 0.05 s, 0.01 s allowed, 1 %: 2.1 deviations above a steady
        load of 1 are (1 + 2.1 / 2)^2 = 4.2 slots: then 1.25 * 2.1 + 0.3 * 2.1^2 + 0.2 * 3.2 = 4.6.
        """
        spread = np.sqrt(self._unseen * median)
        slope = LINEAR + spread * self._ratio
        bend = SQUARE + self._unseen * self._ratio / 4
        asked = -np.log(risk) - median * self._ratio**2 * self._building
        root = np.sqrt(slope**2 + 4 * bend * np.maximum(asked, 0.0))
        deviations = (root - slope) / (2 * bend)
        more = deviations * spread + deviations**2 * self._unseen / 4
        above = np.maximum(level - median, 0.0)
        wider = level - above + np.hypot(above, np.where(asked > 0, self._hidden * more, 0.0))
        return np.asarray(wider, dtype=np.float32)
