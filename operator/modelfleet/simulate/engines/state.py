"""Arrays that hold the state of a world, and the steps that both event engines share.

`slots_engine`, `batch_engine` and `world` call these compiled functions. Hot functions take plain
arrays and one record: every access to an array inside a tuple costs two atomic operations. Must
never decide anything: the functions only carry out changes.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.engines.compiled import compiled, inlined

NEVER = np.inf
MINUTE = 60.0

# Rows of `replicas`, and the states in its first row.
STATE, ORDER, BUSY = 0, 1, 2
FREE, STARTING, READY, DRAINING = 0, 1, 2, 3
# Rows of `timers`, one column for each replica.
DUE, CLOCK, NEXT = 0, 1, 2
# Rows of `slots`.
END, BEGIN, IS_SLOW = 0, 1, 2
# Rows of `lines`.
HEAP, RING = 0, 1
# Rows of `minutes`: the accounts of each minute.
BILLED, STARTS, REVERSALS, PEAK, COLD = 0, 1, 2, 3, 4
MINUTE_ROWS = 5

FIGURES = np.dtype(
    [
        *((name, np.float64) for name in ("now", "billed_to", "next_ready", "next_done")),
        *((name, np.float64) for name in ("service_sum", "busy_sum", "queued_sum", "limit")),
        *((name, np.int64) for name in ("first", "arrived", "started", "completed", "slow")),
        *((name, np.int64) for name in ("in_flight", "ready", "starting", "draining")),
        *((name, np.int64) for name in ("created", "direction", "slots", "rows")),
        *((name, np.int64) for name in ("ring_head", "ring_size", "heap_size")),
    ]
)
"""Single numbers of a world: `rows` are the replica rows in use, `slots` the slots of each."""


class State(NamedTuple):
    """Arrays of one world.

    `figures` is a record of `FIGURES`. `moments`, `work`, `waits` (m,) hold for each request: its
    arrival, its work, and its wait. A wait is in seconds, and infinity while the request waits.
    `startups` are start-up times, used in turn. `replicas` and `timers` have shape (3, replicas).

    `slots` (3, replicas x slots) holds for each slot when it is free, since when it works, and
    whether its request waited too long. In the batch engine the first is a virtual time. `lines`
    (2, replicas x slots) holds the heap of the busy slots and the ring of the free ones. `minutes`
    has shape (MINUTE_ROWS, minutes + 1).
    """

    figures: Any
    moments: NDArray[np.float64]
    work: NDArray[np.float32]
    waits: NDArray[np.float32]
    startups: NDArray[np.float64]
    replicas: NDArray[np.int64]
    timers: NDArray[np.float64]
    slots: NDArray[np.float64]
    lines: NDArray[np.int64]
    minutes: NDArray[np.float64]


@compiled
def bill(s: State, until: float) -> None:
    """Account the replicas that exist, minute by minute, up to `until`."""
    f, minutes = s.figures, s.minutes
    alive = f.ready + f.starting + f.draining
    at = f.billed_to
    while at < until:
        minute = minute_of(minutes, at)
        end = until
        if minute < minutes.shape[1] - 1:
            end = min(until, (minute + 1) * MINUTE)
        minutes[BILLED, minute] += alive * (end - at)
        minutes[PEAK, minute] = max(minutes[PEAK, minute], alive)
        at = end
    f.billed_to = until


@inlined
def minute_of(minutes: NDArray[np.float64], at: float) -> int:
    """Return the column of `minutes` for a moment.

    The last column holds the time after the trace.
    """
    last: int = minutes.shape[1] - 1
    return min(int(at / MINUTE), last)


@inlined
def pass_time(f: Any, at: float) -> None:
    """Add to the integrals up to the next event."""
    length = at - f.now
    f.busy_sum += length * f.in_flight
    f.queued_sum += length * (f.arrived - f.started)
    f.now = at


@inlined
def note_arrival(f: Any, moments: NDArray[np.float64], minutes: NDArray[np.float64]) -> None:
    """Record that the next request has come."""
    if f.ready == 0:
        minutes[COLD, minute_of(minutes, moments[f.arrived])] += 1
    f.arrived += 1


@inlined
def begin_request(
    f: Any, came: float, replicas: NDArray[np.int64], slots: NDArray[np.float64], slot: int
) -> float:
    """Give a slot to the longest waiting request, which came at `came`; returns its wait."""
    wait = f.now - came
    slots[BEGIN, slot] = f.now
    slots[IS_SLOW, slot] = 1.0 if wait > f.limit else 0.0
    f.started += 1
    f.in_flight += 1
    replicas[BUSY, slot // f.slots] += 1
    return wait  # type: ignore[no-any-return]


@inlined
def end_request(f: Any, replicas: NDArray[np.int64], slots: NDArray[np.float64], slot: int) -> bool:
    """End the request in a slot; returns whether its replica may take another."""
    f.completed += 1
    f.slow += int(slots[IS_SLOW, slot])
    f.in_flight -= 1
    f.service_sum += f.now - slots[BEGIN, slot]
    replica = slot // f.slots
    replicas[BUSY, replica] -= 1
    return bool(replicas[STATE, replica] == READY)


@compiled
def end_drain(s: State, slot: int) -> None:
    """Remove a draining replica when its last request is answered."""
    f, replica = s.figures, slot // s.figures.slots
    if s.replicas[BUSY, replica] == 0:
        bill(s, f.now)
        s.replicas[STATE, replica] = FREE
        f.draining -= 1


@compiled
def due_replica(s: State) -> int:
    """Return the starting replica that is ready first; -1 if none starts.

    Sets `next_ready` to the time at which it is ready.
    """
    f, next_row = s.figures, -1
    f.next_ready = NEVER
    for row in range(f.rows):
        if s.replicas[STATE, row] == STARTING and s.timers[DUE, row] < f.next_ready:
            f.next_ready = s.timers[DUE, row]
            next_row = row
    return next_row


@compiled
def make_ready(s: State) -> int:
    """Let the replica that is due answer from now on; returns its row."""
    f, row = s.figures, due_replica(s)
    s.replicas[STATE, row] = READY
    s.timers[DUE, row] = f.now
    f.starting -= 1
    f.ready += 1
    due_replica(s)
    return row


@compiled
def create(s: State, is_ready: bool) -> int:
    """Create one more replica in the lowest free row; returns the row, -1 when all are taken."""
    f, row = s.figures, 0
    while row < s.replicas.shape[1] and s.replicas[STATE, row] != FREE:
        row += 1
    if row == s.replicas.shape[1]:
        return -1
    f.rows = max(f.rows, row + 1)
    s.replicas[ORDER, row] = f.created
    s.replicas[BUSY, row] = 0
    s.timers[CLOCK, row] = 0.0
    s.timers[NEXT, row] = NEVER
    s.timers[DUE, row] = f.now
    if is_ready:
        s.replicas[STATE, row] = READY
        f.ready += 1
    else:
        s.replicas[STATE, row] = STARTING
        s.timers[DUE, row] += s.startups[f.created % len(s.startups)]
        f.next_ready = min(f.next_ready, s.timers[DUE, row])
        f.starting += 1
        s.minutes[STARTS, minute_of(s.minutes, f.now)] += 1
    f.created += 1
    return row


@compiled
def newest(s: State, state: int) -> int:
    """Return the replica of that state that was created last; -1 if there is none."""
    row_of_newest, order = -1, -1
    for row in range(s.figures.rows):
        if s.replicas[STATE, row] == state and s.replicas[ORDER, row] > order:
            row_of_newest, order = row, s.replicas[ORDER, row]
    return row_of_newest


@compiled
def drop_free_slots(s: State, replica: int) -> None:
    """Take the slots of a replica that leaves out of the ring: no request may use them."""
    f, lines = s.figures, s.lines
    size, remaining, length = f.ring_size, 0, lines.shape[1]
    for offset in range(size):
        slot = lines[RING, (f.ring_head + offset) % length]
        if slot // f.slots != replica:
            lines[RING, (f.ring_head + remaining) % length] = slot
            remaining += 1
    f.ring_size = remaining


@compiled
def remove(s: State) -> None:
    """Remove one replica: the newest that starts, else the newest ready one, which drains."""
    f, row = s.figures, newest(s, STARTING)
    if row >= 0:
        s.replicas[STATE, row] = FREE
        f.starting -= 1
        due_replica(s)
        return
    row = newest(s, READY)
    drop_free_slots(s, row)
    f.ready -= 1
    if s.replicas[BUSY, row] > 0:
        s.replicas[STATE, row] = DRAINING
        f.draining += 1
    else:
        s.replicas[STATE, row] = FREE


@compiled
def scale(s: State, wanted: int) -> int:
    """Create or remove replicas until `wanted` are ready or starting.

    Returns the number that is ready or starting now.
    """
    f = s.figures
    have = f.ready + f.starting
    if wanted == have:
        return have  # type: ignore[no-any-return]
    bill(s, f.now)
    direction = 1 if wanted > have else -1
    if f.direction == -direction:
        s.minutes[REVERSALS, minute_of(s.minutes, f.now)] += 1
    f.direction = direction
    while have < wanted and create(s, False) >= 0:
        have += 1
    while have > wanted:
        remove(s)
        have -= 1
    return have  # type: ignore[no-any-return]
