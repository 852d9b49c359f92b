"""The process from its start to its end: until a signal comes, or a part ends by itself.

Called by `main` with the parts made. Must never let Kopf end before what saves.
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
    """Run everything until `stop` is set (0) or any part ends by itself (1).

    At its end Kopf cancels whatever began after it, once more: it would cut off what leading does
    at its end, so the `reactor` goes last, and `over` tells it so.
    """
    tasks, last = [asyncio.ensure_future(one) for one in background], asyncio.ensure_future(reactor)
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


async def signalled(ready: asyncio.Event, stop: asyncio.Event) -> None:
    """SIGTERM or SIGINT. Kopf installs handlers of its own at its start; ours come after."""
    await ready.wait()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
