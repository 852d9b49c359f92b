"""How long a route change takes to be in effect, and a held request to be released.

On the installed product, with two gateways. Called by `tests.bench`.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import stack

ROUTE_CHANGES = 40
WAKES = 10


def run() -> dict[str, Any]:
    """Both figures, as percentiles in milliseconds."""
    from tests.e2e import conftest as ground

    folder = Path(tempfile.mkdtemp())
    artifacts = ground.digits.make(folder)
    ground.lighten(artifacts.questions)
    store = ground.store.__wrapped__(artifacts)
    address = next(store)
    namespace = f"bench-latency-{time.time_ns() % 10**6}"
    stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        stack.apply(ground.model(namespace, f"{address}/digits-1.onnx", scaling={"minReplicas": 0}))
        ground.ready(namespace)
        question = json.loads(artifacts.questions.read_text())[0]["body"]
        return {**route_changes(namespace), **wakes(namespace, question)}
    finally:
        stack.kubectl("delete", "namespace", namespace, "--wait=false")
        next(store, None)


def percentiles(values: list[float]) -> tuple[int, int]:
    """Median and 95th percentile, in whole milliseconds."""
    ordered = sorted(values)
    last = min(len(ordered) - 1, int(0.95 * len(ordered)))
    return round(1000 * statistics.median(ordered)), round(1000 * ordered[last])


def route_changes(namespace: str) -> dict[str, Any]:
    """From the answer of the write of the route to the last gateway's acknowledgement."""
    code = Path(__file__).with_name("acknowledged.py")
    command = [str(stack.ROOT / ".venv/bin/python"), str(code), namespace, str(ROUTE_CHANGES)]
    with operator_away():
        times = json.loads(stack.inside(*command, seconds=180))
    p50, p95 = percentiles(times)
    return {"route_in_effect_p50_milliseconds": p50, "route_in_effect_p95_milliseconds": p95}


@contextlib.contextmanager
def operator_away() -> Iterator[None]:
    """The operator would at once put back what we write into its status."""
    operator = ["-n", stack.SYSTEM, "scale", "deployment/modelfleet-operator"]
    pods = ["pod", "-l", "app.kubernetes.io/name=modelfleet-operator", "--timeout=60s"]
    stack.kubectl(*operator, "--replicas=0")
    try:
        stack.kubectl("-n", stack.SYSTEM, "wait", "--for=delete", *pods)
        yield
    finally:
        stack.kubectl(*operator, "--replicas=1")
        stack.kubectl("-n", stack.SYSTEM, "rollout", "status", "deployment/modelfleet-operator")


def wakes(namespace: str, question: Any) -> dict[str, Any]:
    """From the pod's Ready to the first byte of the request that woke it."""
    url = f"http://digits.{namespace}.localhost:8080/v2/models/digits/infer"
    after_ready, whole = [], []
    for _ in range(WAKES):
        stack.wait(
            "zero replicas",
            lambda: not stack.items("pods", namespace, "modelfleet.dev/role=replica"),
            120,
        )
        watch = subprocess.Popen(
            [
                str(stack.KUBECTL),
                "--kubeconfig",
                str(stack.KUBECONFIG),
                "-n",
                namespace,
                "get",
                "pods",
                "-l",
                "modelfleet.dev/role=replica",
                "-w",
                "-o",
                "jsonpath={.status.conditions[?(@.type=='Ready')].status}{'\\n'}",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        began = time.time()
        asked = subprocess.Popen(
            [
                "curl",
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{time_starttransfer}",
                "-d",
                json.dumps(question),
                url,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watch.stdout
        ready_at = next(time.time() for line in watch.stdout if line.strip() == "True")
        watch.kill()
        watch.wait()
        code, seconds = (asked.communicate()[0] or "0 0").split()
        if code != "200":
            msg = f"the woken model answered {code}"
            raise RuntimeError(msg)
        after_ready.append(max(0.0, began + float(seconds) - ready_at))
        whole.append(float(seconds))
    p50, p95 = percentiles(after_ready)
    return {
        "ready_to_first_byte_p50_milliseconds": p50,
        "ready_to_first_byte_p95_milliseconds": p95,
        "wake_whole_median_milliseconds": percentiles(whole)[0],
    }
