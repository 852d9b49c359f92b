"""Everything that operator and agent can expose, with one value of each label at least.

`python -m tests.monitoring.exposition operator` prints it as the process would: in a process of
its own, because other tests leave series in the metrics.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.promtool import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.samples import Sample

PROCESSES = ("operator", "agent")


def text(process: str) -> str:
    """Give the exposition of a process."""
    return subprocess.run(
        [sys.executable, "-m", __name__, process],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def documented() -> set[str]:
    """Names of the metrics on the reference page."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(modelfleet_\w+)` \|", page, re.MULTILINE))


def samples() -> Iterator[tuple[str, str, Sample]]:
    """Process, type and sample of each series of both processes."""
    for process in PROCESSES:
        for family in text_string_to_metric_families(text(process)):
            for sample in family.samples:
                yield process, family.type, sample


def _operator() -> bytes:
    from modelfleet.engine.scaling.decision_metrics import STATES, TERMS
    from modelfleet.telemetry import metrics

    values = {
        "namespace": ["team-a"],
        "model": ["digits"],
        "term": TERMS,
        "state": STATES,
        "condition": sorted(metrics.SHOWN_CONDITIONS),
        "outcome": ["done", "bug", "saved", "failed"],
    }
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase) and metric._labelnames:
            for labels in itertools.product(*(values.get(n, ["x"]) for n in metric._labelnames)):
                metric.labels(*labels)
    return generate_latest(REGISTRY)


def _agent() -> bytes:
    from modelfleet.gateway.requests.counters import TrafficCounters
    from modelfleet.gateway.traffic_metrics import agent_registry
    from modelfleet.telemetry import metrics

    traffic = TrafficCounters(time.monotonic)
    counter = traffic.counter("team-a/digits", "digits-v1")
    for outcome in ("2xx", "5xx", "reset"):
        counter.complete(outcome, 0.1, 0.0)
    traffic.take("gateway", 1.0, {})
    traffic.deadly["team-a/digits"] += 1
    traffic.uncounted["team-a/digits"] += 1
    traffic.refused["team-a/digits", "too late"] += 1
    metrics.WATCH_FAILURES.labels("x")
    return generate_latest(agent_registry(traffic, lambda: {"team-a/digits": 1}))


if __name__ == "__main__":
    sys.stdout.buffer.write({"operator": _operator, "agent": _agent}[sys.argv[1]]())
