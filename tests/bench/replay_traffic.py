"""Requests of a trace in short, for `replay`: which ones there will be, and sending them.

The load generator draws moments and questions from seeds, so both are known beforehand: the
simulator gets the very requests that are sent. As a process (`python -m tests.bench.replay_traffic
PLAN OUTCOME`) it runs the generator and writes when each request was due and how long it took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from modelfleet.simulate.arrivals import lognormal
from modelfleet.simulate.trace import read_trace
from tests.load.generator import Generator
from tests.load.plan import Plan, read_plan, read_questions
from tests.load.schedule import Arrivals, drawer, read_steps
from tests.load.tally import Outcome, Tally
from tests.stack import ROOT, gateway_url

TRACE = ROOT / "tests" / "traces" / "azure_llm_2023_conv_1s.csv"
FASTER = 6
"""An hour of the trace in ten minutes."""
SHARE = 0.5
"""Of the requests of the trace: what two cores can carry at that pace."""
RAMP_SECONDS = 60.0
"""Before it traffic grows from nothing: services do not begin at full load."""
SERVICE_SECONDS, SERVICE_CV = 0.3, 0.7
KINDS = 256
"""Different lengths of requests."""


def steps() -> list[list[float]]:
    """A ramp, then the trace as steps of one second: seconds, first and last rate."""
    rates = SHARE * read_trace(TRACE).binned(FASTER)
    begin = float(rates[: int(RAMP_SECONDS / FASTER)].mean())
    ramp = [RAMP_SECONDS, 0.0, begin]
    return [ramp, *([1.0, float(rate), float(rate)] for rate in rates)]


def lengths() -> list[float]:
    """Seconds of work of each kind of request, log-normal with exactly the mean that is wanted."""
    drawn = lognormal(np.random.default_rng(1), KINDS, SERVICE_CV)
    scaled = drawn * (SERVICE_SECONDS / drawn.mean())
    return [round(float(one), 4) for one in scaled]


def foreseen(plan: Plan, work: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Moments and work in seconds of all requests that the generator will send."""
    arrivals = Arrivals(plan.steps, 0.0, drawer(plan.pacing, plan.seed))
    chance = random.Random(plan.seed + 1)
    moments, works = [], []
    while (due := arrivals.next()) is not None:
        arrivals.taken()
        moments.append(due)
        works.append(chance.choice(work))
        chance.random()  # which of its connections is used
    return np.array(moments), np.array(works, dtype=np.float32)


def plan_of(host: str, questions: Path, allowed: dict[str, str]) -> dict[str, Any]:
    """The generator's plan."""
    return {
        "url": f"{gateway_url()}/v2/models/digits/infer",
        "host": host,
        "questions": str(questions),
        "allow": allowed,
        "steps": steps(),
        "timeout_seconds": 60.0,
    }


def parsed(plan: dict[str, Any]) -> Plan:
    """As the generator reads it."""
    return Plan(**{**plan, "steps": read_steps(plan["steps"])})


class Each(Tally):
    """A tally that keeps every request: when it was due, its latency, whether it failed."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[float, float, bool]] = []

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        due = outcome.at - outcome.latency_seconds
        self.requests.append((due, outcome.latency_seconds, bool(outcome.reason)))


async def send(plan: Plan) -> dict[str, Any]:
    """Send everything; returns what became of each request."""
    questions = read_questions(Path(plan.questions))
    gc.collect()
    gc.freeze()
    generator = Generator(plan, questions, lambda _: None)
    began = time.time() - generator.seconds
    generator.total = kept = Each()
    await generator.run()
    return {
        "began": began,
        "total": kept.summary(),
        "failures": kept.excerpts,
        "requests": [(round(a, 4), round(b, 4), c) for a, b, c in sorted(kept.requests)],
    }


if __name__ == "__main__":
    outcome = asyncio.run(send(read_plan(Path(sys.argv[1]))))
    Path(sys.argv[2]).write_text(json.dumps(outcome))
