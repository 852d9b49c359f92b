"""The process from its start to its end: it ends by a signal, or when a part ends by itself.

`compose` makes the parts. Must never let Kopf end before the final save of the memory.
"""

import asyncio
import signal
from collections.abc import Awaitable
from typing import Any

import structlog

STOP_SECONDS = 10.0

log = structlog.get_logger()


async def until_stopped(
    background: list[Awaitable[Any]],
    reactor: Awaitable[Any],
    stop: asyncio.Event,
    over: asyncio.Event,
) -> int:
    """Run everything until `stop` is set (returns 0) or any part ends by itself (returns 1).

    On shutdown Kopf cancels every task started after it. It must stop last, or it would cancel the
    final save. `over` signals to the `reactor` that the rest has stopped.
    """
    tasks, last = (
        [asyncio.ensure_future(part) for part in background],
        asyncio.ensure_future(reactor),
    )
    done, _ = await asyncio.wait([*tasks, last], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            log.error("a part of the operator ended", exc_info=task.exception())
    code = 0 if stop.is_set() else 1
    for ending in (tasks, [last]):
        for task in ending:
            task.cancel()
        await asyncio.wait(ending, timeout=STOP_SECONDS)
        over.set()
    return code


def catch_signals(stop: asyncio.Event) -> None:
    """Set `stop` at SIGTERM or SIGINT. Kopf sets handlers at each start: call it after that."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
