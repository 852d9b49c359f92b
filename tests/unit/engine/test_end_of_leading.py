"""At a signal the work ends before the Lease does, so what was learned can still be saved."""

import asyncio
from types import SimpleNamespace

import pytest

from modelfleet.main import _lead


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

    ready.set()
    task = asyncio.ensure_future(_lead(lease, SimpleNamespace(reflectors=[]), ready, leading))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    assert not lease.is_held
