"""Event engine of replicas with independent slots: a request takes one slot for its service time.

`world` uses it for services without a `Batch`. A heap holds the busy slots, a ring the free ones,
one FIFO queue the requests. The slot that is free longest is taken first, which spreads the load as
balancers do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.engines.compiled import compiled, inlined
from modelfleet.simulate.engines.state import (
    END,
    HEAP,
    NEVER,
    RING,
    State,
    begin_request,
    end_drain,
    end_request,
    make_ready,
    note_arrival,
    pass_time,
)


@inlined
def _sink(f: Any, slots: NDArray[np.float64], lines: NDArray[np.int64]) -> None:
    """Restore the heap downwards from its top."""
    size, position, slot = f.heap_size, 0, lines[HEAP, 0]
    key = slots[END, slot]
    child = 1
    while child < size:
        if child + 1 < size and (
            slots[END, lines[HEAP, child + 1]] < slots[END, lines[HEAP, child]]
        ):
            child += 1
        if slots[END, lines[HEAP, child]] >= key:
            break
        lines[HEAP, position] = lines[HEAP, child]
        position = child
        child = 2 * position + 1
    lines[HEAP, position] = slot


@inlined
def _add(f: Any, slots: NDArray[np.float64], lines: NDArray[np.int64], slot: int) -> None:
    """Add a busy slot to the heap."""
    position, key = f.heap_size, slots[END, slot]
    f.heap_size = position + 1
    while position > 0:
        parent = (position - 1) // 2
        if slots[END, lines[HEAP, parent]] <= key:
            break
        lines[HEAP, position] = lines[HEAP, parent]
        position = parent
    lines[HEAP, position] = slot


@inlined
def _take_top(f: Any, slots: NDArray[np.float64], lines: NDArray[np.int64]) -> None:
    f.heap_size -= 1
    if f.heap_size > 0:
        lines[HEAP, 0] = lines[HEAP, f.heap_size]
        _sink(f, slots, lines)


@inlined
def _free(f: Any, lines: NDArray[np.int64], slot: int) -> None:
    """Append a free slot to the ring."""
    position = f.ring_head + f.ring_size
    if position >= lines.shape[1]:
        position -= lines.shape[1]
    lines[RING, position] = slot
    f.ring_size += 1


@inlined
def _next_free(f: Any, lines: NDArray[np.int64]) -> int:
    slot = lines[RING, f.ring_head]
    f.ring_head += 1
    if f.ring_head == lines.shape[1]:
        f.ring_head = 0
    f.ring_size -= 1
    return int(slot)


@compiled
def open_replica(s: State, row: int) -> None:
    """Free all slots of a replica that became ready; waiting requests take them."""
    f = s.figures
    for slot in range(row * f.slots, (row + 1) * f.slots):
        _free(f, s.lines, slot)
    while f.ring_size > 0 and f.started < f.arrived:
        slot = _next_free(f, s.lines)
        number = f.started
        s.waits[number] = begin_request(f, s.moments[number], s.replicas, s.slots, slot)
        s.slots[END, slot] = f.now + s.work[number]
        _add(f, s.slots, s.lines, slot)


@compiled
def advance_slots(s: State, until: float) -> None:
    """Carry out all events up to a moment, in seconds since the begin of the trace."""
    f, moments, work, waits, slots = s.figures, s.moments, s.work, s.waits, s.slots
    lines, replicas, minutes = s.lines, s.replicas, s.minutes
    while True:
        comes = moments[f.arrived] if f.arrived < len(moments) else NEVER
        ends = slots[END, lines[HEAP, 0]] if f.heap_size > 0 else NEVER
        at = min(comes, ends, f.next_ready)
        if at > until:
            break
        pass_time(f, at)
        if at == f.next_ready:
            open_replica(s, make_ready(s))
        elif at == ends:
            slot = lines[HEAP, 0]
            may_go_on = end_request(f, replicas, slots, slot)
            if may_go_on and f.started < f.arrived:
                number = f.started
                waits[number] = begin_request(f, moments[number], replicas, slots, slot)
                slots[END, slot] = at + work[number]
                _sink(f, slots, lines)
            else:
                _take_top(f, slots, lines)
                if may_go_on:
                    _free(f, lines, slot)
                else:
                    end_drain(s, slot)
        else:
            note_arrival(f, moments, minutes)
            if f.ring_size > 0:
                slot = _next_free(f, lines)
                number = f.started
                waits[number] = begin_request(f, moments[number], replicas, slots, slot)
                slots[END, slot] = at + work[number]
                _add(f, slots, lines, slot)
    pass_time(f, until)
