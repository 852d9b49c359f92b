"""Workers: take keys from the queue and make their turns; the one place where errors are caught.

They run while the Lease is held. The class of an error decides what happens next.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from modelfleet.engine.loop.queue import KeyQueue
from modelfleet.errors import Conflict, Gone, Refused, Transient
from modelfleet.facts.identity import Key
from modelfleet.telemetry import metrics

TURN_SECONDS = 120.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TurnResult:
    """Number of writes of a turn, when to look again, whether the object is gone."""

    writes: int
    look_again_seconds: float | None
    is_gone: bool = False


class Workers:
    """A bounded number of turns at the same time."""

    def __init__(
        self,
        queue: KeyQueue,
        turn: Callable[[Key], Awaitable[TurnResult]],
        *,
        count: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`turn` is called with each key that comes up."""
        self._queue = queue
        self._turn = turn
        self._count = count
        self._monotonic = monotonic

    async def run(self) -> None:
        """Make turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._work(), name=f"worker-{number}")

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            metrics.QUEUE_DEPTH.set(len(self._queue))
            started = self._monotonic()
            try:
                await self._turn_of(key)
            finally:
                self._queue.done(key)
                metrics.TURN_SECONDS.observe(self._monotonic() - started)

    async def _turn_of(self, key: Key) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                outcome = await self._turn(key)
        except Conflict:
            metrics.TURNS.labels("conflict").inc()
            self._queue.failed(key)
        except Gone:
            metrics.TURNS.labels("gone").inc()
            self._queue.failed(key)
        except (Transient, TimeoutError) as error:
            pause = self._queue.failed(key, getattr(error, "retry_after", None))
            metrics.TURNS.labels("transient").inc()
            log.warning("turn failed", key=str(key), error=str(error), again_seconds=pause)
        except Refused as error:
            pause = self._queue.failed(key, 30.0)
            metrics.TURNS.labels("refused").inc()
            log.warning("write refused", key=str(key), error=str(error), again_seconds=pause)
        except Exception:
            # No error of one model may stop the others.
            pause = self._queue.failed(key, 5.0)
            metrics.TURNS.labels("bug").inc()
            log.exception("turn broke", key=str(key), again_seconds=pause)
        else:
            metrics.TURNS.labels("done").inc()
            self._queue.succeeded(key)
            if outcome.look_again_seconds is not None:
                self._queue.wake_later(key, outcome.look_again_seconds)
