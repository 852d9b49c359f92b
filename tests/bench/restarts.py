"""Restarts of the operator beside 0, 4 and 16 busy processes: writes, and replicas changed.

On the installed product with one settled model under steady load. `BENCH_RUNS` restarts each (5),
`BENCH_BUSY_SECONDS` of busy processes (30). Called by `tests.bench`.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import stack

PROCESSES = (0, 4, 16)
WATCHED_SECONDS = 45.0


def run() -> dict[str, Any]:
    """For each number of busy processes: writes of each restart, and replicas that changed."""
    from tests.e2e import conftest as ground
    from tests.e2e import restart, test_quiet

    runs = int(os.environ.get("BENCH_RUNS", "5"))
    seconds = float(os.environ.get("BENCH_BUSY_SECONDS", "30"))
    folder = Path(tempfile.mkdtemp())
    artifacts = ground.digits.make(folder)
    ground.lighten(artifacts.questions)
    store = ground.store.__wrapped__(artifacts)
    namespace = f"bench-restarts-{time.time_ns() % 10**6}"
    stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    load = ground.Load(folder, artifacts, f"digits.{namespace}.localhost")
    found: dict[str, Any] = {}
    try:
        test_quiet.settle(namespace, next(store), load)
        for processes in PROCESSES:
            results = []
            for _ in range(runs):
                busy_seconds = seconds if processes else 0.0
                results.append(restart.restart(namespace, processes, busy_seconds, WATCHED_SECONDS))
                print(f"{processes} busy: {results[-1]}", flush=True)
                if not results[-1].is_same_pods:
                    reasons = stack.reasons(namespace)
                    print(reasons, flush=True)
                    stack.wait("one replica", lambda: test_quiet.is_settled(namespace), 600)
            found[f"{processes} busy processes"] = (
                f"writes {[len(one.writes) for one in results]},"
                f" replicas changed in {sum(not one.is_same_pods for one in results)} of {runs}"
            )
        total = load.end()["total"]
        found["requests"] = f"{total['sent']} sent, {total['failed']} failed"
        return found
    finally:
        load.kill()
        stack.kubectl("delete", "namespace", namespace, "--wait=false")
        next(store, None)
