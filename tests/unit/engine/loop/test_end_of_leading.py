"""At a signal everything ends in an order in which what was learned can still be saved."""

import asyncio

from modelfleet.engine.loop.lifecycle import until_stopped


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
