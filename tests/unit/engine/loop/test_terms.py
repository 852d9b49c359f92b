"""Terms in one process: the loops end with the Lease and begin again with it, on new lists."""

import asyncio
from typing import Any

import pytest

from modelfleet.engine.loop.terms import FRESH_SECONDS, Terms
from tests.doubles.virtual_time import VirtualTime


class Lease:
    """Taken when `is_free`, lost when it is not."""

    def __init__(self) -> None:
        self.free, self.lost, self.is_held = asyncio.Event(), asyncio.Event(), False
        self.free.set()

    async def take(self) -> None:
        await self.free.wait()
        self.lost.clear()
        self.is_held = True

    async def keep(self) -> None:
        try:
            await self.lost.wait()
        finally:
            self.is_held = False

    def lose(self) -> None:
        self.free.clear()
        self.lost.set()


class Stage:
    """Terms whose steps are recorded, each with whether the Lease is held."""

    def __init__(self) -> None:
        self.time, self.lease, self.steps = VirtualTime(), Lease(), []
        self.error: Exception | None = None
        self.is_readable = asyncio.Event()
        self.is_readable.set()
        self.terms = Terms(
            self.lease,
            fill=lambda: self.listed("fill"),
            refresh=lambda: self.listed("refresh"),
            begin=lambda: self.note("begin"),
            lead=self.lead,
            end=lambda: self.note("end"),
            monotonic=self.time,
        )
        self.task = asyncio.ensure_future(self.terms.run())

    def note(self, step: str) -> None:
        self.steps.append((step, self.lease.is_held))

    async def listed(self, step: str) -> None:
        await self.is_readable.wait()
        self.note(step)

    async def lead(self) -> None:
        self.note("lead")
        if self.error is not None:
            raise self.error
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.note("save")

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


FIRST: list[Any] = [("fill", False), ("begin", True), ("lead", True)]


async def test_lost_lease_ends_the_loops_and_the_same_process_leads_again():
    stage = Stage()
    await stage.time.run(1)
    assert stage.steps == FIRST
    assert stage.terms.is_leading
    stage.lease.lose()
    await stage.time.run(60)
    assert stage.steps[3:] == [("save", False), ("end", False)]
    assert not stage.terms.is_leading
    assert not stage.task.done(), "it stands by"
    stage.lease.free.set()
    await stage.time.run(1)
    assert stage.steps[5:] == [("refresh", True), ("begin", True), ("lead", True)]
    await stage.end()


async def test_lists_that_fail_when_leading_begins_again_hold_the_loops_back():
    stage = Stage()
    await stage.time.run(1)
    stage.lease.lose()
    await stage.time.run(1)
    stage.is_readable.clear()
    stage.lease.free.set()
    await stage.time.run(60)
    assert stage.steps[-1] == ("end", False)
    assert not stage.terms.is_leading
    stage.lease.lose()
    await stage.time.run(1)
    assert stage.steps[-1] == ("end", False), "it never began, so nothing ends"
    stage.lease.free.set()
    stage.is_readable.set()
    await stage.time.run(1)
    assert stage.steps[-1] == ("lead", True)
    await stage.end()


async def test_standby_that_waited_long_lists_before_its_first_term():
    stage = Stage()
    stage.lease.free.clear()
    await stage.time.run(FRESH_SECONDS + 1)
    stage.lease.free.set()
    await stage.time.run(1)
    assert [step for step, _ in stage.steps] == ["fill", "refresh", "begin", "lead"]
    await stage.end()


async def test_work_ends_while_the_lease_is_held_when_the_process_stops():
    stage = Stage()
    await stage.time.run(1)
    await stage.end()
    assert stage.steps[3:] == [("save", True), ("end", True)]
    assert not stage.lease.is_held


async def test_loop_that_breaks_ends_the_process_with_its_error():
    stage = Stage()
    stage.error = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await stage.task
