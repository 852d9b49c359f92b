"""``python -m tests.load --plan FILE --report FILE``: run one plan, print a line each second.

Started by drivers (``tests.demo``, end-to-end tests) or by hand. Standard input takes commands
(``control``); standard output gives one JSON object a line: ``{"event": "second", ...}`` and, for
requests asked for by ``once``, ``{"event": "answer", ...}``. Exit code: 0 no failure, 1 at least
one, 2 wrong plan or command. An interrupt, or the end of a steered run's input, stops sending.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .control import Command, read_command
from .generator import Generator
from .plan import Plan, read_plan, read_questions
from .schedule import PlanError

FAILED, WRONG = 1, 2


def main(arguments: list[str]) -> int:
    """Run and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--report", type=Path, help="file for the totals")
    options = parser.parse_args(arguments)
    try:
        plan = read_plan(options.plan)
        report = asyncio.run(run(plan))
    except PlanError as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG
    if options.report:
        _write(options.report, report)
    tell({"event": "end", **report["total"]})
    return FAILED if report["total"]["failed"] else 0


async def run(plan: Plan) -> dict[str, Any]:
    """Run a plan to its end and give the report."""
    questions = read_questions(Path(plan.questions))
    # What is prepared lives to the end: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    generator = Generator(plan, questions, tell)
    loop = asyncio.get_running_loop()
    wrong: list[PlanError] = []

    def stop() -> None:
        generator.apply(Command(stop=True))

    def take(line: str) -> None:
        try:
            generator.apply(read_command(line) if line else Command(stop=True))
        except PlanError as error:
            wrong.append(error)
            stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if plan.stay:
        _listen(loop, take)
    started_at, cpu = time.time(), time.process_time()
    ticker = asyncio.create_task(tell_seconds(generator))
    try:
        await generator.run()
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
    if wrong:
        raise wrong[0]
    return report_of(generator, started_at, time.process_time() - cpu)


def _listen(loop: asyncio.AbstractEventLoop, take: Callable[[str], None]) -> None:
    """Read commands in a thread: standard input may be a file, a pipe or a terminal."""

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the run is over
            for line in sys.stdin:
                if line.strip():
                    loop.call_soon_threadsafe(take, line)
            loop.call_soon_threadsafe(take, "")

    threading.Thread(target=read, daemon=True).start()


async def tell_seconds(generator: Generator) -> None:
    """A line each second, on the second."""
    number = 0
    while True:
        number += 1
        await asyncio.sleep(max(0.0, number - generator.seconds))
        tell(
            {
                "event": "second",
                "seconds": round(generator.seconds, 2),
                "in_flight": generator.in_flight,
                "totals": {
                    "sent": generator.total.sent,
                    "ok": generator.total.ok,
                    "failed": generator.total.failed,
                },
                "reasons": dict(generator.total.reasons),
                **generator.take_second().summary(),
            }
        )


def report_of(generator: Generator, started_at: float, cpu_seconds: float) -> dict[str, Any]:
    """Totals, phases and the first failures."""
    return {
        "started_at": started_at,
        "seconds": round(generator.seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "total": generator.total.summary(),
        "phases": {name: t.summary() for name, t in generator.phases.items() if t.sent},
        "failures": generator.total.excerpts,
    }


def tell(value: dict[str, Any]) -> None:
    """Print one line at once."""
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _write(path: Path, report: dict[str, Any]) -> None:
    """Whole or not at all: a driver may be waiting for the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
