"""What this machine can do, and the traffic of the story that follows from it.

Called by ``__main__`` before the story: a model of its own is loaded in a closed loop and removed
again. The choice is a pure function. It must never ask for traffic that the machine was not seen to
bear, nor promise a latency that one inference alone would use up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tests import capacity, stack
from tests.cluster.console import say

from . import specs
from .cluster import DemoError, Kubernetes, folder

MOST = 100.0
"""Requests/s: more would show nothing more."""
LEAST = 12.0
LOW_SHARE = 0.05
BUSY = 1.2
"""Replicas' worth of work in the high traffic: one is too few, and those that start cost CPU."""
OBJECTIVE_MILLISECONDS = 100
INFERENCES = 5
"""A promised latency holds as many inferences: the own one and those that may be waited for."""
STARTS = 10.0
"""The ramp lasts as many starts of a replica: then those that start are there in time."""
LEAST_RAMP_SECONDS, MOST_RAMP_SECONDS = 40.0, 90.0


@dataclass(frozen=True)
class Rates:
    """The traffic of the story: requests/s, and what an inference takes."""

    machine: float
    low: float
    high: float
    pace: int
    objective_milliseconds: int
    ramp_seconds: float

    @property
    def one(self) -> float:
        """Requests/s that one replica carries, its own CPU time left out."""
        return 1000 / self.pace

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {**asdict(self), "one_replica": round(self.one, 1)}


def choose(machine: float, generator: float, start_seconds: float) -> Rates:
    """The traffic for a machine that can do so many requests/s; raises DemoError if too few."""
    high = float(int(min(MOST, capacity.SHARE_OF_MACHINE * min(machine, generator))))
    if high < LEAST:
        message = (
            f"this machine can do {machine:.0f} requests/s (the generator alone {generator:.0f}): "
            f"{capacity.SHARE_OF_MACHINE:.0%} of that is too little to show anything"
        )
        raise DemoError(message)
    pace = round(1000 * BUSY / high)
    return Rates(
        machine=machine,
        low=max(1.0, float(int(LOW_SHARE * high))),
        high=high,
        pace=pace,
        objective_milliseconds=max(OBJECTIVE_MILLISECONDS, INFERENCES * pace),
        ramp_seconds=min(MOST_RAMP_SECONDS, max(LEAST_RAMP_SECONDS, STARTS * start_seconds)),
    )


def measure(kubernetes: Kubernetes, namespace: str, uri: str, plan: Mapping[str, Any]) -> Rates:
    """Measure with one replica, through the gateways; says what was found."""
    say(" measure | what one replica, the gateways and the generator can do together")
    name = specs.YARDSTICK
    in_namespace = ("-n", namespace)
    began = time.monotonic()
    kubernetes.apply(specs.yardstick(namespace, uri))
    try:
        kubernetes.kubectl(
            *in_namespace, "wait", f"mlmodel/{name}", "--for=condition=Ready", stack.timeout(110)
        )
        start_seconds = time.monotonic() - began
        found = capacity.measure(plan_for(plan, namespace), folder())
    except capacity.TooSlowError as error:
        raise DemoError(str(error)) from error
    finally:
        remove(kubernetes, namespace)
    generator = 1000 / found["generator_cpu_ms"]
    rates = choose(found["requests_per_second"], generator, start_seconds)
    say(
        f" measure | {rates.machine:.0f} requests/s in all, the generator alone {generator:.0f}; "
        f"a replica was ready after {start_seconds:.1f} s"
    )
    say(
        f" measure | so the traffic is {rates.low:.0f} to {rates.high:.0f} requests/s, in "
        f"{rates.ramp_seconds:.0f} s; an inference takes {rates.pace} ms, as on an accelerator: "
        f"one replica carries {rates.one:.0f} requests/s"
    )
    return rates


def plan_for(plan: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """The generator's plan, on the yardstick."""
    name = specs.YARDSTICK
    return {
        **plan,
        "url": plan["url"].replace(f"/{specs.MODEL}/", f"/{name}/"),
        "host": f"{name}.{namespace}.localhost",
        "allow": {f"{name}-v1": "one"},
    }


def remove(kubernetes: Kubernetes, namespace: str) -> None:
    """Take the yardstick away: its pods would use what the story was given."""
    in_namespace = ("-n", namespace)
    label = ("-l", f"modelfleet.dev/model={specs.YARDSTICK}")
    kubernetes.kubectl(*in_namespace, "delete", "mlmodel", specs.YARDSTICK, "--ignore-not-found")
    for kind in ("mlmodelversions", "pods"):
        kubernetes.kubectl(*in_namespace, "wait", "--for=delete", kind, *label, stack.timeout(110))
