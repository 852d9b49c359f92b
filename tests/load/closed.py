"""``python -m tests.load.closed --plan FILE --workers N --seconds S``: what can be done at most.

Each worker sends its next request when the last one is answered, so the load never exceeds what is
there. Started by ``tests.capacity``; prints one JSON object. The plan is that of ``tests.load``;
its rates are not used. The first part of the time warms up and is not counted. A number that was
reached with failures is none: they are reported beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from .answers import Answer, Question, judge
from .plan import Plan, read_plan, read_questions
from .tally import Outcome, Tally

WARM = 0.2
"""Share of the time before which nothing is counted."""


class Closed:
    """Some workers on one target."""

    def __init__(self, plan: Plan, questions: Sequence[Question]) -> None:
        self._plan, self._questions = plan, questions
        self._chance = random.Random(plan.seed)
        self.tally = Tally(plan.objective_seconds)

    async def run(self, workers: int, seconds: float) -> dict[str, Any]:
        """Load for ``seconds``, and say what came of it."""
        began = time.monotonic()
        counted_from, end = began + WARM * seconds, began + seconds
        headers = {"host": self._plan.host, "content-type": "application/json"}
        cpu = time.process_time()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self._plan.timeout_seconds),
        ) as pool:
            tasks = [self._work(pool, counted_from, end) for _ in range(workers)]
            sent = sum(await asyncio.gather(*tasks))
        cpu = time.process_time() - cpu
        found = self.tally.summary()
        return {
            "workers": workers,
            "requests_per_second": round(self.tally.ok / (end - counted_from), 2),
            "failed": found["failed"],
            "reasons": found["reasons"],
            "latency_ms": found["latency_ms"],
            "generator_cpu_ms": round(1000 * cpu / sent, 3) if sent else None,
        }

    async def _work(self, pool: aiohttp.ClientSession, counted_from: float, end: float) -> int:
        sent = 0
        while (began := time.monotonic()) < end:
            question = self._chance.choice(self._questions)
            answer = await self._exchange(pool, question)
            sent += 1
            ended = time.monotonic()
            if counted_from <= ended <= end:
                verdict = judge(answer, question, self._plan.allow or {})
                self.tally.ended(
                    Outcome(ended, ended - began, verdict.version, verdict.reason, verdict.detail)
                )
        return sent

    async def _exchange(self, pool: aiohttp.ClientSession, question: Question) -> Answer:
        try:
            async with pool.post(
                self._plan.url, data=question.body, allow_redirects=False
            ) as response:
                return Answer(response.status, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return Answer(0, b"", f"{type(error).__name__}: {error}"[:200])


def main(arguments: Sequence[str]) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.closed", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args(arguments)
    plan = read_plan(options.plan)
    closed = Closed(plan, read_questions(Path(plan.questions)))
    print(json.dumps(asyncio.run(closed.run(options.workers, options.seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
