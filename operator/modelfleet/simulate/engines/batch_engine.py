"""Event engine of batching replicas: the more requests a replica has, the slower each becomes.

`world` uses it for services with a `Batch`. Each replica has a virtual clock that runs at s(full) /
s(n) while n requests are processed. A request ends when the clock has advanced by its work. The
replica with the fewest requests takes the next one.
"""

from modelfleet.simulate.engines.compiled import compiled
from modelfleet.simulate.engines.state import (
    BUSY,
    CLOCK,
    DUE,
    END,
    NEVER,
    NEXT,
    READY,
    STATE,
    State,
    begin_request,
    end_drain,
    end_request,
    make_ready,
    note_arrival,
    pass_time,
)


@compiled
def _pace(s: State, busy: int, alone: float, each: float) -> float:
    """Return the virtual seconds per second; 1 with all slots busy."""
    return (alone + each * s.figures.slots) / (alone + each * busy)  # type: ignore[no-any-return]


@compiled
def _move_clock(s: State, row: int, alone: float, each: float) -> None:
    """Advance one replica's virtual clock to now; `timers[DUE]` is the time of its last advance."""
    now, busy = s.figures.now, s.replicas[BUSY, row]
    if busy > 0:
        s.timers[CLOCK, row] += (now - s.timers[DUE, row]) * _pace(s, busy, alone, each)
    s.timers[DUE, row] = now


@compiled
def _first_slot(s: State, row: int) -> int:
    """Return the slot of a replica that ends first; free slots never end."""
    size = s.figures.slots
    first = row * size
    for slot in range(first + 1, (row + 1) * size):
        if s.slots[END, slot] < s.slots[END, first]:
            first = slot
    return first  # type: ignore[no-any-return]


@compiled
def _look_ahead(s: State, row: int, alone: float, each: float) -> None:
    """Set the time of this replica's next answer, and of the first answer of all replicas."""
    f, busy = s.figures, s.replicas[BUSY, row]
    s.timers[NEXT, row] = NEVER
    if busy > 0:
        left = max(0.0, s.slots[END, _first_slot(s, row)] - s.timers[CLOCK, row])
        s.timers[NEXT, row] = f.now + left / _pace(s, busy, alone, each)
    f.next_done = NEVER
    for other in range(f.rows):
        f.next_done = min(f.next_done, s.timers[NEXT, other])


@compiled
def _emptiest(s: State) -> int:
    """Return the ready replica with the fewest requests; -1 when all slots are busy."""
    emptiest, least = -1, s.figures.slots
    for row in range(s.figures.rows):
        if s.replicas[STATE, row] == READY and s.replicas[BUSY, row] < least:
            emptiest, least = row, s.replicas[BUSY, row]
    return emptiest


@compiled
def serve_batches(s: State, alone: float, each: float) -> None:
    """Give waiting requests to the replicas with the fewest, the longest waiting request first."""
    f = s.figures
    while f.started < f.arrived:
        row = _emptiest(s)
        if row < 0:
            return
        _move_clock(s, row, alone, each)
        slot = row * f.slots
        while s.slots[END, slot] != NEVER:
            slot += 1
        number = f.started
        s.waits[number] = begin_request(f, s.moments[number], s.replicas, s.slots, slot)
        s.slots[END, slot] = s.timers[CLOCK, row] + s.work[number]
        _look_ahead(s, row, alone, each)


@compiled
def _answer(s: State, alone: float, each: float) -> None:
    row = 0
    while s.timers[NEXT, row] != s.figures.next_done:
        row += 1
    _move_clock(s, row, alone, each)
    slot = _first_slot(s, row)
    s.slots[END, slot] = NEVER
    if not end_request(s.figures, s.replicas, s.slots, slot):
        end_drain(s, slot)
    _look_ahead(s, row, alone, each)


@compiled
def advance_batches(s: State, until: float, alone: float, each: float) -> None:
    """Carry out all events up to a moment; one request among n takes `alone` + `each` * n s."""
    f = s.figures
    while True:
        comes = s.moments[f.arrived] if f.arrived < len(s.moments) else NEVER
        at = min(comes, f.next_ready, f.next_done)
        if at > until:
            break
        pass_time(f, at)
        if at == f.next_ready:
            make_ready(s)
        elif at == f.next_done:
            _answer(s, alone, each)
        else:
            note_arrival(f, s.moments, s.minutes)
        serve_batches(s, alone, each)
    pass_time(f, until)
