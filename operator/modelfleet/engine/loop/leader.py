"""What runs only while the Lease is held: workers and tick.

Called by `main` with the parts made. Must never outlive the Lease: when it is lost, everything
here is cancelled and the process ends, to begin again with what was saved.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from modelfleet.engine.loop.worker import Workers
from modelfleet.engine.memory.history_backfill import HistoryBackfill
from modelfleet.engine.memory.learned_file import LearnedFile
from modelfleet.engine.memory.learned_status import LearnedStatus
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.telemetry import metrics

log = structlog.get_logger()


async def lead(
    workers: Workers,
    ticker: Ticker | None,
    tick_seconds: float,
    memory: LearnedFile | None = None,
    lessons: LearnedStatus | None = None,
    *,
    filler: HistoryBackfill | None = None,
) -> None:
    """Turns and ticks until cancelled; at the end what was learned is saved."""
    if ticker is not None:
        ticker.begin()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(workers.run(), name="workers")
            if ticker is None:
                return
            # Nobody scales before it is known what an earlier leader knew: numbers are held.
            if memory is not None:
                await memory.restore()
                group.create_task(memory.run(), name="memory")
            if lessons is not None:
                lessons.recall()
                group.create_task(lessons.run(), name="lessons")
            if filler is not None:
                group.create_task(filler.run(), name="history")
            ticker.begin()
            group.create_task(_tick(ticker, tick_seconds), name="tick")
            group.create_task(_study(ticker, tick_seconds), name="study")
    finally:
        if memory is not None:
            await memory.save()


async def _tick(
    ticker: Ticker, seconds: float, monotonic: Callable[[], float] = time.monotonic
) -> None:
    while True:
        started = monotonic()
        try:
            ticker.tick()
        except Exception:
            # One bad sample must not stop the scaling of the fleet; grants are held meanwhile.
            log.exception("tick broke")
        metrics.TICK_SECONDS.observe(monotonic() - started)
        await asyncio.sleep(max(0.05, seconds - (monotonic() - started)))


async def _study(ticker: Ticker, seconds: float) -> None:
    """The slow parts of the forecasts, one at a time in a thread."""
    while True:
        await asyncio.sleep(seconds)
        for work in ticker.forecaster.work()[:1]:
            try:
                ticker.forecaster.done(work, await asyncio.to_thread(work.run))
            except Exception:
                # Forecasts from older coefficients are still forecasts; it is tried again.
                log.exception("fit broke", model=str(work.key))
