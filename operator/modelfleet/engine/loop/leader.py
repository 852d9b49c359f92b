"""The loops that run only while the Lease is held: turns, ticks, and what keeps the memory.

`compose` makes the parts, `loop.terms` runs them. Must never outlive the Lease. When the Lease is
lost, everything here is cancelled. The next leader begins with the saved memory; where it is this
process again, with its own.
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
    learned_status: LearnedStatus | None = None,
    *,
    backfill: HistoryBackfill | None = None,
) -> None:
    """Run turns and ticks until cancelled; at the end save what was learned."""
    if ticker is not None:
        ticker.begin()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(workers.run(), name="workers")
            if ticker is None:
                return
            # The tick starts after the memory was read: until then no number changes.
            if memory is not None:
                await memory.restore()
                group.create_task(memory.run(), name="memory")
            if learned_status is not None:
                learned_status.recall()
                group.create_task(learned_status.run(), name="learned-status")
            if backfill is not None:
                group.create_task(backfill.run(), name="history")
            ticker.begin()
            group.create_task(_tick(ticker, tick_seconds), name="tick")
            group.create_task(_fit(ticker, tick_seconds), name="fits")
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
            # One bad sample must not stop the scaling of all models; grants stay meanwhile.
            log.exception("tick broke")
        metrics.TICK_SECONDS.observe(monotonic() - started)
        await asyncio.sleep(max(0.05, seconds - (monotonic() - started)))


async def _fit(ticker: Ticker, seconds: float) -> None:
    """Compute the slow parts of the forecasts, one at a time in a thread."""
    while True:
        await asyncio.sleep(seconds)
        for job in ticker.forecaster.due_fits()[:1]:
            try:
                ticker.forecaster.use_fit(job, await asyncio.to_thread(job.run))
            except Exception:
                # The older coefficients stay in use; the next round tries again.
                log.exception("fit broke", model=str(job.key))
