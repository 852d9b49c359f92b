"""At a signal the work ends before the Lease does, so what was learned can still be saved."""

import asyncio
from types import SimpleNamespace

import pytest

from modelfleet.compose.operator import _lead
from modelfleet.engine.loop.lifecycle import until_stopped


class Lease:
    """Held until it is cancelled."""

    def __init__(self) -> None:
        self.held, self.is_held = asyncio.Event(), False

    async def run(self) -> None:
        self.is_held = True
        self.held.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.is_held = False


async def test_work_ends_while_the_lease_is_held():
    lease, ready, begun, ended = Lease(), asyncio.Event(), asyncio.Event(), []

    async def leading() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(lambda: None)
            ended.append(lease.is_held)

    answers = iter([False, True])

    async def count() -> bool:
        assert not lease.is_held, "models are known before anything is recalled"
        return next(answers)

    ready.set()
    cache = SimpleNamespace(reflectors=[])
    task = asyncio.ensure_future(_lead(lease, cache, ready, count, leading))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    assert not lease.is_held


async def test_reactor_that_cancels_everything_goes_after_what_saves():
    """As Kopf does at its end, with each task that began after it."""
    stop, over, saved = asyncio.Event(), asyncio.Event(), []

    async def reactor() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            mine = {asyncio.current_task(), main}
            for task in asyncio.all_tasks() - mine:
                task.cancel()
            saved.append(over.is_set())

    async def leading() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            saved.append("file")

    async def signalled() -> None:
        await asyncio.sleep(0.01)
        stop.set()

    main = asyncio.current_task()
    assert await until_stopped([leading(), signalled()], reactor(), stop, over) == 0
    assert saved == ["file", True]


async def test_part_that_ends_by_itself_is_a_failure():
    stop, over = asyncio.Event(), asyncio.Event()
    waiting = asyncio.Event().wait()
    assert await until_stopped([asyncio.sleep(0)], waiting, stop, over) == 1
