"""Time that moves only when a test moves it: a clock, and a sleep for any number of tasks."""

import asyncio
import heapq
import itertools

SETTLING_STEPS = 40
"""Rounds of the event loop after which every task waits for time again."""


class VirtualTime:
    """Seconds; `run` wakes the sleepers in the order of their times."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._counter = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._counter), woken))
        await woken

    async def run(self, seconds: float) -> None:
        """Let so much time pass for all tasks."""
        end = self.now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not woken.done():
                woken.set_result(None)
                await self._settle()
        self.now = end

    async def _settle(self) -> None:
        for _ in range(SETTLING_STEPS):
            await asyncio.sleep(0)
