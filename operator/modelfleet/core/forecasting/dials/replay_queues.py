"""Replay queues: what each dial would have cost each model, on the real arrivals, at all times.

Each model has one fluid queue for each dial, with replicas, pending replicas and hold as the real
ones have them. `dials.choice` sums the results. The same backlog rule decides for the real
replicas. Must never use what these did.
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
    columns: "FigureColumns",
    *,
    worth: Floats,
) -> Floats:
    """Return the slots that a backlog needs; 0 without one. Shapes (n, c), `rate` (n, 1).

    A backlog is finite work: the part of the queue that is left when a replica started now is
    ready. With more slots e it ends sooner, so fewer requests meet it (rate * left * service / e).
    But more slots are billed, for a start-up before and a start-up after (2 S e). `worth` (1, c) or
    (n, 1) is the value of a violation (`Dials.worth`). The cheapest e is then sqrt(worth * load *
    left * service / 2 S). Bounds: within a fifth of a start-up at the fastest, within a whole one
    at the slowest. `queue` are all requests in the system, `ages` the summed age in seconds of the
    pending replicas.

    Worked example: 40 requests wait, 10 requests/s of 1 s, 5 replicas of 2 slots, S = 20 s: 40 + 20
    * 10 - 20 * 10 = 40 are left; at a worth of 4, 10 + sqrt(4 * 10 * 40 / 40) = 16.3 slots.
    """
    startup, service, slots = columns.startup, columns.service, columns.slots
    served = slots / service * (ready * startup + ages)
    left = queue + rate * startup - served
    load, busy, work = rate * service, ready * slots, np.maximum(left, 0.0) * service
    cheapest = np.sqrt(worth * load * work / np.maximum(2 * startup, 1e-3))
    slowest = work / np.maximum(startup, service)
    fastest = work / np.maximum(startup / columns.backlog_pace, service)
    asked = np.minimum(
        load + np.clip(cheapest, slowest, fastest),
        columns.backlog_factor * np.maximum(load, busy),
    )
    return np.where((left > 0) & is_late(queue, ready, columns), asked, 0.0).astype(np.float32)


def is_late(queue: Floats, ready: Floats, columns: "FigureColumns") -> NDArray[np.bool_]:
    """Return whether requests wait for more than `gate_share` of the allowed wait."""
    busy = ready * columns.slots
    return np.asarray(queue - busy > busy * columns.gate_share * columns.wait / columns.service)


class FigureColumns:
    """Figures of the models as columns (n, 1), for formulas over (n, dials)."""

    def __init__(self, table: NDArray[np.float64], tuning: Tuning) -> None:
        """Split `table` (n, 4): start-up, wait, slots, service seconds."""
        columns = table.astype(np.float32)
        self.startup, self.wait, self.slots, self.service = (columns[:, [i]] for i in range(4))
        self.delay = np.maximum(1, np.rint(table[:, 0] / BIN_SECONDS)).astype(np.intp)
        self.within = np.maximum(0, np.floor(table[:, 1] / BIN_SECONDS)).astype(np.intp)
        self.short_waits = ShortWaits(self.wait, self.service)
        self.has_short_waits = tuning.has_chance and self.short_waits.matters
        self.backlog_factor = np.float32(tuning.backlog_factor)
        self.backlog_pace = np.float32(tuning.backlog_pace)
        self.gate_share = np.float32(tuning.gate_share)

    def memory_seconds(self, error_budget: Floats) -> Floats:
        """Return for how long a burst counts, in seconds (n,); `error_budget` may be late.

        A surprising burst breaks the objective for a start-up time and a bin. If bursts are so rare
        that this fits the error budget, no replica has to be kept for the next one.

        Worked example: 4 s to start, 5 % may be late: (4 + 5) / 0.05 = 180 s.
        """
        return np.asarray((self.startup[:, 0] + BIN_SECONDS) / np.maximum(error_budget, 1e-4))


class ReplayQueues(Rows):
    """Fluid queues of n models by c dials."""

    AXES: ClassVar = {
        **dict.fromkeys(("queue", "ready", "pending", "ages", "violated", "_delay"), 0),
        **dict.fromkeys(("_orders", "_kept"), 1),
    }
    EMPTY: ClassVar = {"_delay": 1}

    def __init__(self, size: int, worth: Floats, tuning: Tuning) -> None:
        """Start with empty queues; `worth` (c,) of a violation to each dial."""
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
        """Make the rings as long as the longest start-up; a row uses the part for its own one."""
        longest = int(delay.max(initial=1))
        if longest > len(self._orders):
            more = np.zeros((longest - len(self._orders), *self.queue.shape), dtype=np.float32)
            self._orders = np.concatenate((self._orders, more))
            self._kept = np.concatenate((self._kept, more))
        for row in np.flatnonzero(delay != self._delay):
            # Another start-up time was learned: pending replicas count as ready.
            self.ready[row] += self.pending[row]
            self.pending[row] = self.ages[row] = 0.0
            self._orders[:, row] = 0.0
            highest = self._kept[:, row].max(axis=0)
            self._kept[:, row] = 0.0
            self._kept[0, row] = highest
            self._delay[row] = delay[row]

    def serve(self, counts: Floats, columns: FigureColumns, step: int) -> None:
        """Serve the bin that just ended, in steps of one second; then make due replicas ready."""
        self._fit(columns.delay)
        rate = (counts / BIN_SECONDS).astype(np.float32)[:, None]
        slots = self.ready * columns.slots
        soon = (self.ready + self._due_within(columns, step)) * columns.slots
        limit = slots + soon * (columns.wait / columns.service)
        fastest, share = slots / columns.service, 1.0 / np.maximum(columns.service, 1.0)
        # Part of a second's requests that is in the system at once: short ones leave within it.
        at_once = rate * np.minimum(columns.service, 1.0)
        self.violated[:] = 0.0
        met = np.zeros_like(self.queue)
        for _ in range(BIN_SECONDS):
            in_system = self.queue + at_once
            self.violated += np.where(in_system > limit, rate, 0.0)
            if columns.has_short_waits:
                met += in_system
            self.queue += rate
            self.queue -= np.minimum(self.queue * share, fastest)
        if columns.has_short_waits:
            late = columns.short_waits.late(met / BIN_SECONDS, slots)
            np.maximum(self.violated, rate * BIN_SECONDS * late, out=self.violated)
        index = step % columns.delay
        due = self._orders[index, np.arange(self.size)]
        self._orders[index, np.arange(self.size)] = 0.0
        self.ages += self.pending * BIN_SECONDS - due * (columns.delay[:, None] * BIN_SECONDS)
        self.ready += due
        self.pending -= due

    def _due_within(self, columns: FigureColumns, step: int) -> Floats:
        """Return the replicas that will be ready before a request of now has waited too long."""
        due = np.zeros_like(self.ready)
        for ahead in range(int(columns.within.max(initial=0))):
            index = (step + ahead) % columns.delay
            counted = (ahead < columns.within) & (ahead < columns.delay)
            due += self._orders[index, np.arange(self.size)] * counted[:, None]
        return due

    def act(
        self, start: Floats, keep: Floats, rate: Floats, columns: FigureColumns, step: int
    ) -> None:
        """Order, cancel and drain replicas as the dials want; levels in slots, shape (n, c)."""
        if self._tuning.has_backlog:
            more = backlog_level(
                self.queue, rate, self.ready, self.ages, columns, worth=self._worth
            )
            start = np.maximum(start, more)
        up = np.ceil(start / columns.slots - 1e-4)
        index = step % columns.delay
        self._kept[index, np.arange(self.size)] = np.ceil(
            np.maximum(start, keep) / columns.slots - 1e-4
        )
        hold = self.hold() if self._tuning.has_hold else self._kept[index, np.arange(self.size)]
        have = self.ready + self.pending
        ordered = np.maximum(up - have, 0.0)
        surplus = np.maximum(have - np.maximum(hold, up), 0.0)
        # No replica leaves while requests wait, however soon these will be answered.
        surplus[is_late(self.queue, self.ready, columns)] = 0.0
        cancelled = np.minimum(surplus, self.pending)
        self._cancel(cancelled, columns, step)
        self.ready -= surplus - cancelled
        self._orders[index, np.arange(self.size)] += ordered
        self.pending += ordered

    def hold(self) -> Floats:
        """Return the largest number of replicas to keep of the last start-up time, shape (n, c)."""
        return np.asarray(self._kept.max(axis=0))

    def _cancel(self, count: Floats, columns: FigureColumns, step: int) -> None:
        """Take back the newest orders first."""
        rows, dials = np.nonzero(count > 0)
        if len(rows) == 0:
            return
        left = count[rows, dials].copy()
        delay = columns.delay[rows]
        for back in range(1, int(delay.max())):
            index = (step - back) % delay
            ordered = np.where(back < delay, self._orders[index, rows, dials], 0.0)
            taken = np.minimum(ordered, left)
            self._orders[index, rows, dials] -= taken
            self.ages[rows, dials] -= taken * (back * BIN_SECONDS)
            left -= taken
            if not left.any():
                break
        self.pending[rows, dials] -= count[rows, dials]
