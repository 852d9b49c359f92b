"""The keyed queue: coalescing, one at a time, back-off, fresh before due."""

import asyncio

import pytest

from modelfleet.engine.loop.queue import BACKOFF_SECONDS, KeyQueue
from modelfleet.facts.identity import Key

A, B = Key("ns", "a"), Key("ns", "b")


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def taken(queue: KeyQueue) -> Key | None:
    """The next key, or None when none is there now."""
    try:
        async with asyncio.timeout(0.01):
            return await queue.take()
    except TimeoutError:
        return None


async def test_many_wakes_are_one_turn():
    queue = KeyQueue()
    for _ in range(5):
        queue.wake(A)
    assert await taken(queue) == A
    assert await taken(queue) is None


async def test_wake_during_a_turn_makes_one_more_after_it():
    queue = KeyQueue()
    queue.wake(A)
    await queue.take()
    queue.wake(A)
    queue.wake(A)
    assert await taken(queue) is None, "never twice at once"
    queue.done(A)
    assert await taken(queue) == A
    queue.done(A)
    assert await taken(queue) is None


async def test_wakes_before_a_look_are_served_by_it():
    clock = Clock()
    queue = KeyQueue(clock)
    queue.wake(A)
    await queue.take()
    queue.wake(A)
    queue.wake_later(A, 0.1)
    queue.observed(A)
    queue.done(A)
    clock.now += 1.0
    assert await taken(queue) is None


async def test_wake_after_the_last_look_makes_one_more_turn():
    queue = KeyQueue()
    queue.wake(A)
    await queue.take()
    queue.observed(A)
    queue.wake(A)
    queue.done(A)
    assert await taken(queue) == A


async def test_fresh_goes_before_due():
    clock = Clock()
    queue = KeyQueue(clock)
    queue.wake_later(A, 1.0)
    clock.now += 2.0
    queue.wake(B)
    assert [await taken(queue), await taken(queue)] == [B, A]


async def test_soonest_of_several_delays_counts():
    clock = Clock()
    queue = KeyQueue(clock)
    queue.wake_later(A, 5.0)
    queue.wake_later(A, 1.0)
    queue.wake_later(A, 9.0)
    clock.now += 1.0
    assert await taken(queue) == A
    queue.done(A)
    clock.now += 20.0
    assert await taken(queue) is None, "the later ones are folded into it"


async def test_failures_back_off_and_success_forgets_them():
    queue = KeyQueue(Clock())
    assert [queue.failed(A) for _ in range(3)] == list(BACKOFF_SECONDS[:3])
    assert queue.failed(A, retry_after=7.0) == pytest.approx(7.0)
    queue.succeeded(A)
    assert queue.failed(A) == BACKOFF_SECONDS[0]


async def test_two_takers_share_the_keys():
    queue = KeyQueue()
    takers = [asyncio.create_task(queue.take()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.wake(A)
    queue.wake(B)
    assert set(await asyncio.gather(*takers)) == {A, B}


async def test_new_leader_begins_with_all_keys_and_without_what_was_planned():
    clock = Clock()
    queue = KeyQueue(clock)
    queue.wake(A)
    queue.failed(B)
    queue.wake_later(B, 1.0)
    clock.now += 500.0
    queue.restart([B])
    assert queue.stuck_seconds == 0.0, "a standby takes no key: that is no fault"
    assert await taken(queue) == B
    queue.done(B)
    assert queue.failed(B) == BACKOFF_SECONDS[0]
    clock.now += 0.01
    assert await taken(queue) is None


async def test_turns_are_stuck_only_while_keys_wait_and_none_moves():
    clock = Clock()
    queue = KeyQueue(clock)
    clock.now += 500.0
    assert queue.stuck_seconds == 0.0
    queue.wake(A)
    queue.wake(B)
    clock.now += 100.0
    assert await taken(queue) == A
    clock.now += 100.0
    assert queue.stuck_seconds == pytest.approx(100.0)
    queue.done(A)
    assert queue.stuck_seconds == 0.0
