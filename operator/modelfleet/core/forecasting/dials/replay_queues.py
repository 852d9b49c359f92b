"""Shadow queues: what each candidate would have cost each model, on the real arrivals, always now.

`ReplayQueues` belongs to `forecasting.policy`. One fluid queue for each model and candidate, with
replicas, pending replicas and hold as the real ones have them. The same backlog rule decides for
the real replicas. Must never see what these did.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, Tuning
from modelfleet.core.forecasting.dials.short_waits import ShortWaits
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.rows.tables import Rows


def backlog_level(
    queue: Floats,
    rate: Floats,
    ready: Floats,
    ages: Floats,
    about: "FigureColumns",
    *,
    worth: Floats,
) -> Floats:
    """Slots that a backlog asks for; 0 where there is none to come. Shapes (n, c), `rate` (n, 1).

    A backlog is finite work: what is left of the queue when a replica started now is ready. The
    more slots e work it off, the fewer requests meet it (rate * left * service / e), and the more
    are billed, for a start-up before and a start-up after (2 S e). With `worth` (1, c) or (n, 1)
    of a violation (`Bank.worth`), e = sqrt(worth * load * left * service / 2 S) is the cheapest:
    within a fifth of a start-up at the fastest, within a whole one at the slowest. `queue` are all
    requests in the system, `ages` the summed age in seconds of the pending replicas.

    Worked example: 40 requests wait, 10 requests/s of 1 s, 5 replicas of 2 slots, S = 20 s:
    40 + 20 * 10 - 20 * 10 = 40 are left; at a worth of 4, 10 + sqrt(4 * 10 * 40 / 40) = 16.3 slots.
    """
    startup, service, slots = about.startup, about.service, about.slots
    served = slots / service * (ready * startup + ages)
    left = queue + rate * startup - served
    load, busy, work = rate * service, ready * slots, np.maximum(left, 0.0) * service
    cheapest = np.sqrt(worth * load * work / np.maximum(2 * startup, 1e-3))
    slowest = work / np.maximum(startup, service)
    fastest = work / np.maximum(startup / about.backlog_pace, service)
    asked = np.minimum(
        load + np.clip(cheapest, slowest, fastest),
        about.backlog_factor * np.maximum(load, busy),
    )
    return np.where((left > 0) & is_late(queue, ready, about), asked, 0.0).astype(np.float32)


def is_late(queue: Floats, ready: Floats, about: "FigureColumns") -> NDArray[np.bool_]:
    """Whether requests wait for more than the gate's share of the allowed wait."""
    busy = ready * about.slots
    return np.asarray(queue - busy > busy * about.gate_share * about.wait / about.service)


class FigureColumns:
    """Figures of the models as columns (n, 1), for formulas over (n, candidates)."""

    def __init__(self, table: NDArray[np.float64], tuning: Tuning) -> None:
        """`table` (n, 4): startup, wait, slots, service seconds."""
        columns = table.astype(np.float32)
        self.startup, self.wait, self.slots, self.service = (columns[:, [i]] for i in range(4))
        self.delay = np.maximum(1, np.rint(table[:, 0] / BIN_SECONDS)).astype(np.intp)
        self.within = np.maximum(0, np.floor(table[:, 1] / BIN_SECONDS)).astype(np.intp)
        self.chance = ShortWaits(self.wait, self.service)
        self.has_chance = tuning.has_chance and self.chance.matters
        self.backlog_factor = np.float32(tuning.backlog_factor)
        self.backlog_pace = np.float32(tuning.backlog_pace)
        self.gate_share = np.float32(tuning.gate_share)

    def memory_seconds(self, promise: Floats) -> Floats:
        """How long a burst has to be remembered, (n,); `promise` is the share that may be late.

        One that comes as a surprise breaks the promise for a start-up time and a bin; where that
        is as rare as the promise allows, no insurance is needed.

        Worked example: 4 s to start, 5 % may be late: (4 + 5) / 0.05 = 180 s.
        """
        return np.asarray((self.startup[:, 0] + BIN_SECONDS) / np.maximum(promise, 1e-4))


class ReplayQueues(Rows):
    """Fluid queues of n models by c candidates."""

    AXES: ClassVar = {
        **dict.fromkeys(("queue", "ready", "pending", "ages", "violated", "_delay"), 0),
        **dict.fromkeys(("_orders", "_kept"), 1),
    }
    EMPTY: ClassVar = {"_delay": 1}

    def __init__(self, size: int, worth: Floats, tuning: Tuning) -> None:
        """Nothing running. `worth` (c,) of a violation to each candidate."""
        shape = (size, len(worth))
        self.size, self._tuning, self._worth = size, tuning, worth[None, :]
        self._delay = np.ones(size, dtype=np.intp)
        self.queue = np.zeros(shape, dtype=np.float32)
        self.ready = np.zeros(shape, dtype=np.float32)
        self.pending = np.zeros(shape, dtype=np.float32)
        self.ages = np.zeros(shape, dtype=np.float32)
        self._orders = np.zeros((8, *shape), dtype=np.float32)
        self._kept = np.zeros((8, *shape), dtype=np.float32)
        self.violated = np.zeros(shape, dtype=np.float32)
        """Requests of the last step that waited too long."""

    def _fit(self, delay: NDArray[np.intp]) -> None:
        """Rings as long as the longest start-up; a row uses as much as its own."""
        longest = int(delay.max(initial=1))
        if longest > len(self._orders):
            more = np.zeros((longest - len(self._orders), *self.queue.shape), dtype=np.float32)
            self._orders = np.concatenate((self._orders, more))
            self._kept = np.concatenate((self._kept, more))
        for row in np.flatnonzero(delay != self._delay):
            # Another start-up time was learned: what is on the way counts as there.
            self.ready[row] += self.pending[row]
            self.pending[row] = self.ages[row] = 0.0
            self._orders[:, row] = 0.0
            highest = self._kept[:, row].max(axis=0)
            self._kept[:, row] = 0.0
            self._kept[0, row] = highest
            self._delay[row] = delay[row]

    def serve(self, counts: Floats, about: FigureColumns, step: int) -> None:
        """The queues during the bin that just ended, in steps of one second; then who is ready."""
        self._fit(about.delay)
        rate = (counts / BIN_SECONDS).astype(np.float32)[:, None]
        slots = self.ready * about.slots
        soon = (self.ready + self._due_within(about, step)) * about.slots
        limit = slots + soon * (about.wait / about.service)
        fastest, share = slots / about.service, 1.0 / np.maximum(about.service, 1.0)
        # Of what comes in a second so much is there at once: short requests leave within it.
        at_once = rate * np.minimum(about.service, 1.0)
        self.violated[:] = 0.0
        met = np.zeros_like(self.queue)
        for _ in range(BIN_SECONDS):
            present = self.queue + at_once
            self.violated += np.where(present > limit, rate, 0.0)
            if about.has_chance:
                met += present
            self.queue += rate
            self.queue -= np.minimum(self.queue * share, fastest)
        if about.has_chance:
            late = about.chance.late(met / BIN_SECONDS, slots)
            np.maximum(self.violated, rate * BIN_SECONDS * late, out=self.violated)
        place = step % about.delay
        due = self._orders[place, np.arange(self.size)]
        self._orders[place, np.arange(self.size)] = 0.0
        self.ages += self.pending * BIN_SECONDS - due * (about.delay[:, None] * BIN_SECONDS)
        self.ready += due
        self.pending -= due

    def _due_within(self, about: FigureColumns, step: int) -> Floats:
        """Replicas that will be ready before a request that comes now has waited too long."""
        found = np.zeros_like(self.ready)
        for ahead in range(int(about.within.max(initial=0))):
            place = (step + ahead) % about.delay
            counted = (ahead < about.within) & (ahead < about.delay)
            found += self._orders[place, np.arange(self.size)] * counted[:, None]
        return found

    def act(
        self, start: Floats, keep: Floats, rate: Floats, about: FigureColumns, step: int
    ) -> None:
        """Order, cancel and drain as the candidates want; levels in slots, shape (n, c)."""
        if self._tuning.has_backlog:
            more = backlog_level(self.queue, rate, self.ready, self.ages, about, worth=self._worth)
            start = np.maximum(start, more)
        up = np.ceil(start / about.slots - 1e-4)
        place = step % about.delay
        self._kept[place, np.arange(self.size)] = np.ceil(
            np.maximum(start, keep) / about.slots - 1e-4
        )
        hold = self.hold() if self._tuning.has_hold else self._kept[place, np.arange(self.size)]
        have = self.ready + self.pending
        ordered = np.maximum(up - have, 0.0)
        surplus = np.maximum(have - np.maximum(hold, up), 0.0)
        # Nobody leaves while requests wait, however soon they will be worked off.
        surplus[is_late(self.queue, self.ready, about)] = 0.0
        cancelled = np.minimum(surplus, self.pending)
        self._cancel(cancelled, about, step)
        self.ready -= surplus - cancelled
        self._orders[place, np.arange(self.size)] += ordered
        self.pending += ordered

    def hold(self) -> Floats:
        """Replicas that the last start-up time wanted to keep at most, shape (n, c)."""
        return np.asarray(self._kept.max(axis=0))

    def _cancel(self, count: Floats, about: FigureColumns, step: int) -> None:
        """Take back the newest orders first."""
        rows, columns = np.nonzero(count > 0)
        if len(rows) == 0:
            return
        left = count[rows, columns].copy()
        delay = about.delay[rows]
        for back in range(1, int(delay.max())):
            place = (step - back) % delay
            here = np.where(back < delay, self._orders[place, rows, columns], 0.0)
            taken = np.minimum(here, left)
            self._orders[place, rows, columns] -= taken
            self.ages[rows, columns] -= taken * (back * BIN_SECONDS)
            left -= taken
            if not left.any():
                break
        self.pending[rows, columns] -= count[rows, columns]
