"""Sends the requests. Built and run by ``__main__``.

One task waits for the next scheduled time and starts a task for each request; nothing that happens
to a request can delay another one. Two pools of connections: one keeps them alive, one opens a
fresh one for each request. It must never retry, and never take a request out of the count.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from .allowed import Allowed
from .answers import Answer, Question, Verdict, judge
from .control import Command
from .plan import Plan
from .schedule import Arrivals, drawer
from .tally import Outcome, Tally

MAX_BODY = 4_194_304
"""An answer may not be larger; nothing that a batch of digits gives is."""
DETAIL = 200


class Generator:
    """One run: ``run`` returns when all is sent and answered, or its bounds are reached."""

    def __init__(
        self, plan: Plan, questions: Sequence[Question], tell: Callable[[dict[str, Any]], None]
    ) -> None:
        """``tell`` gets the answers of requests that were asked for by ``once``."""
        self._plan = plan
        self._questions = questions
        self._tell = tell
        self._chance = random.Random(plan.seed + 1)
        self._pools: list[aiohttp.ClientSession] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = False
        self._began = time.monotonic()
        # Since the start: of a machine that has been up for a day, the clock is too coarse to tell
        # whether an arrival lies on the very end of a step.
        self._arrivals = Arrivals(plan.steps, 0.0, drawer(plan.pacing, plan.seed))
        self._allowed = Allowed()
        self._allowed.set(self._began, plan.allow or {})
        self.total = self._tally()
        self.second = self._tally()
        self.phases: dict[str, Tally] = {"": self._tally()}
        self._phase = ""

    def _tally(self) -> Tally:
        return Tally(self._plan.objective_seconds)

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not ended."""
        return len(self._tasks)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def take_second(self) -> Tally:
        """What happened since the last call."""
        taken, self.second = self.second, self._tally()
        return taken

    def apply(self, command: Command) -> None:
        """Do at once what the driver said."""
        now = time.monotonic()
        if command.allow is not None:
            self._allowed.set(now, command.allow)
        if command.phase is not None:
            self._phase = command.phase
            self.phases.setdefault(command.phase, self._tally())
        if command.steps is not None:
            self._arrivals.steer(now - self._began, command.steps)
        for _ in range(command.once):
            self._send(now, reported=True)
        self._stopping = self._stopping or command.stop
        self._changed.set()

    async def run(self) -> None:
        """Send until the schedule ends or somebody stops it, then wait for what is under way."""
        host = {"host": self._plan.host, "content-type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout_seconds)
        for connector in (
            aiohttp.TCPConnector(limit=0, keepalive_timeout=3600),
            aiohttp.TCPConnector(limit=0, force_close=True),
        ):
            self._pools.append(
                aiohttp.ClientSession(
                    connector=connector, headers=host, timeout=timeout, auto_decompress=False
                )
            )
        try:
            await self._follow_schedule()
            while self._tasks:
                await asyncio.wait(set(self._tasks))
        finally:
            for task in self._tasks:
                task.cancel()
            for pool in self._pools:
                await pool.close()

    async def _follow_schedule(self) -> None:
        """Wait for each arrival's time and send it; a command may change what comes next."""
        while not self._over():
            self._changed.clear()
            due = self._arrivals.next()
            if due is None:
                if not self._plan.stay:
                    return
                await self._wait(0.5)
                continue
            due += self._began
            delay = due - time.monotonic()
            if delay > 0:
                await self._wait(delay)
                continue
            self._arrivals.taken()
            self._send(due)
            # What came late is sent at once, but the loop must also read answers in between.
            await asyncio.sleep(0)

    def _over(self) -> bool:
        plan = self._plan
        full = self.total.sent >= plan.most_requests or self.seconds >= plan.most_seconds
        return self._stopping or full

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _send(self, due: float, *, reported: bool = False) -> None:
        """Start one request; over the bound of those in flight it counts as failed."""
        tallies = (self.total, self.second, self.phases[self._phase])
        for tally in tallies:
            tally.began(time.monotonic() - due)
        phase = self.phases[self._phase]
        if self.in_flight >= self._plan.most_in_flight:
            message = f"{self.in_flight} requests are in flight"
            self._count(phase, due, Verdict("", "generator full", message))
            return
        question = self._chance.choice(self._questions)
        pool = self._pools[self._chance.random() < self._plan.fresh_share]
        task = asyncio.create_task(self._exchange(pool, question, due, phase, reported=reported))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(
        self,
        pool: aiohttp.ClientSession,
        question: Question,
        due: float,
        phase: Tally,
        *,
        reported: bool,
    ) -> None:
        """One request, its answer, its verdict."""
        sent, first_byte = time.monotonic(), 0.0
        try:
            async with pool.post(
                self._plan.url, data=question.body, allow_redirects=False
            ) as response:
                first_byte = time.monotonic()
                answer = Answer(response.status, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            answer = Answer(0, b"", f"{type(error).__name__}: {error}"[:DETAIL])
        ended = time.monotonic()
        verdict = judge(answer, question, self._allowed.between(sent, ended))
        self._count(phase, due, verdict)
        if reported:
            # Wall clock, because the driver compares it with what it saw of the cluster.
            offset = time.time() - time.monotonic()
            self._tell(
                {
                    "event": "answer",
                    "version": verdict.version,
                    "reason": verdict.reason,
                    "detail": verdict.detail,
                    "sent_at": sent + offset,
                    "first_byte_at": first_byte + offset if first_byte else None,
                    "seconds": ended - sent,
                }
            )

    def _count(self, phase: Tally, due: float, verdict: Verdict) -> None:
        now = time.monotonic()
        outcome = Outcome(
            at=now - self._began,
            latency_seconds=now - due,
            version=verdict.version,
            reason=verdict.reason,
            detail=verdict.detail,
        )
        for tally in (self.total, self.second, phase):
            tally.ended(outcome)
