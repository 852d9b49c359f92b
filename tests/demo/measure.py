"""What this machine can do, and the traffic of the story that follows from it.

Called by ``__main__`` before the story: a model of its own is loaded in a closed loop and removed
again. The choice is a pure function. It must never ask for traffic that the machine was not seen to
bear, nor promise a latency that one inference alone would use up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tests import capacity, slow, stack
from tests.cluster.console import say

from . import specs
from .cluster import DemoError, Kubernetes, folder

MOST = 100.0
"""Requests/s: more would show nothing more."""
LEAST = 6.0
LOW_SHARE = 0.05
RESERVED_CORES = 0.8
"""For the control plane, and for pods that start: in a rollout as many as serve."""
SHARE_OF_REST = 0.35
"""For the traffic: who serves gets no more CPU than who starts beside it."""
BUSY = 1.3
"""Replicas' worth of work in the high traffic: one is too few, and three or four do it well."""
MIN_PACE = 5
OBJECTIVE_MILLISECONDS = 100
INFERENCES = 5
"""A promised latency holds as many inferences: the own one and those that may be waited for."""
STARTS = 10.0
"""The ramp lasts as many starts of a replica: then those that start are there in time."""
MIN_RAMP_SECONDS, MAX_RAMP_SECONDS = 40.0, 90.0


@dataclass(frozen=True)
class Found:
    """What was measured: requests/s, of everything together and of the generator alone."""

    machine: float
    generator: float
    alone_ms: float
    start_seconds: float
    cores: float

    @property
    def bearable(self) -> float:
        """Requests/s that leave enough of the machine to everything else."""
        rest = max(0.0, 1 - RESERVED_CORES / self.cores)
        return min(SHARE_OF_REST * rest * self.machine, capacity.SHARE_OF_MACHINE * self.generator)


@dataclass(frozen=True)
class Rates:
    """The traffic of the story: requests/s, and what an inference takes."""

    machine: float
    low: float
    high: float
    pace: int
    alone_ms: float
    """A request alone, without the pace."""
    objective_milliseconds: int
    ramp_seconds: float

    @property
    def one(self) -> float:
        """Requests/s that one replica carries."""
        return 1000 / (self.pace + self.alone_ms)

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {**asdict(self), "one_replica": round(self.one, 1)}


def choose(found: Found) -> Rates:
    """The traffic for a machine; raises DemoError where it can do too little."""
    high = float(int(min(MOST, found.bearable)))
    if high < LEAST:
        message = (
            f"this machine can do {found.machine:.0f} requests/s (the generator alone "
            f"{found.generator:.0f}): {high:.0f} of them for the traffic would show nothing"
        )
        raise DemoError(message)
    pace = max(MIN_PACE, round(1000 * BUSY / high - found.alone_ms))
    inference = pace + found.alone_ms
    return Rates(
        machine=found.machine,
        low=max(1.0, float(int(LOW_SHARE * high))),
        high=high,
        pace=pace,
        alone_ms=found.alone_ms,
        objective_milliseconds=max(OBJECTIVE_MILLISECONDS, round(INFERENCES * inference)),
        ramp_seconds=min(MAX_RAMP_SECONDS, max(MIN_RAMP_SECONDS, STARTS * found.start_seconds)),
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
        own = plan_for(plan, namespace)
        alone = capacity.measure(own, folder(), workers=1)
        together = capacity.measure(own, folder())
    except capacity.TooSlowError as error:
        raise DemoError(str(error)) from error
    finally:
        remove(kubernetes, namespace)
    found = Found(
        machine=together["requests_per_second"],
        generator=1000 / together["generator_cpu_ms"],
        alone_ms=alone["latency_ms"]["p50"],
        start_seconds=start_seconds,
        cores=slow.cores_allowed() or len(os.sched_getaffinity(0)),
    )
    rates = choose(found)
    say(
        f" measure | {found.machine:.0f} requests/s in all, the generator alone "
        f"{found.generator:.0f}; a request alone takes {found.alone_ms:.1f} ms; a replica was "
        f"ready after {start_seconds:.1f} s"
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
