"""A restart of the operator beside busy processes, and what it wrote and changed.

Used by `test_quiet` and by the campaign `tests.bench.restarts`. The processes run under the same
quota as the cluster, so they take the time that the operator and the model need.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests import stack

OPERATOR = "app.kubernetes.io/name=modelfleet-operator"
BUSY = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


@dataclass(frozen=True)
class Found:
    """What the operator wrote after its restart, and whether the replicas are the same."""

    writes: list[str]
    is_same_pods: bool
    ready_seconds: float


@contextmanager
def busy(processes: int, seconds: float) -> Iterator[None]:
    """So many processes that only burn time; each ends by itself."""
    running = [
        subprocess.Popen([sys.executable, "-c", BUSY.format(seconds=seconds)])
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def replicas(namespace: str) -> set[str]:
    """Ids of the model's pods."""
    return {p["metadata"]["uid"] for p in stack.items("pods", namespace)}


def restart(namespace: str, processes: int, busy_seconds: float, watched_seconds: float) -> Found:
    """Kill the operator while so many processes are busy; watch what its successor does."""
    pods = replicas(namespace)
    before = stack.audit_position()
    began = time.monotonic()
    with busy(processes, busy_seconds):
        stack.kubectl(
            *("-n", stack.SYSTEM, "delete", "pod", "-l", OPERATOR),
            *("--grace-period=0", "--force"),
        )
        stack.kubectl(
            *("-n", stack.SYSTEM, "rollout", "status", "deployment/modelfleet-operator"),
        )
        ready_seconds = time.monotonic() - began
        time.sleep(max(0.0, began + busy_seconds - time.monotonic()))
    time.sleep(watched_seconds)
    writes = [stack.written(event) for event in stack.writes(before)]
    return Found(writes, replicas(namespace) == pods, ready_seconds)
