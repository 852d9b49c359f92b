"""1,000 MLModels on fake nodes: start, restart, a hundred edits at once, and the bare floor.

The operator runs as a process in the cluster's network, without gateways. The floor is the same
number of Deployments made directly, beside it: what the control plane itself takes. Called by
`tests.bench`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

from tests import stack
from tests.stack import Json

MODELS = int(os.environ.get("MODELFLEET_BENCH_MODELS", "1000"))
EDITS = 100
NODES = 50
PATIENCE_SECONDS = 300
AT_ONCE = 32
SETTINGS = {
    "MODELFLEET_GATEWAY": "Off",
    "MODELFLEET_SERVER_IMAGE": "modelfleet/server:dev",
    "MODELFLEET_LEASE_SECONDS": "20",
    "MODELFLEET_POD_NAME": "bench",
}
PORT = 9446


def run() -> dict[str, Any]:
    """All figures; leaves the cluster as it was."""
    stack.kubectl("-n", stack.SYSTEM, "scale", "deployment/modelfleet-operator", "--replicas=0")
    subprocess.run(
        [sys.executable, "-m", "tests.cluster", "kwok-up", str(NODES)], cwd=stack.ROOT, check=True
    )
    names = {part: f"bench-{part}-{time.time_ns() % 10**6}" for part in ("floor", "fleet")}
    for name in names.values():
        stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        figures: dict[str, Any] = {"models": MODELS, "floor_ready_seconds": floor(names["floor"])}
        figures |= fleet(names["fleet"])
        figures["ready_over_floor"] = round(
            figures["ready_seconds"] / figures["floor_ready_seconds"], 2
        )
        return figures
    finally:
        for name in names.values():
            # The next benchmark must not share the machine with a thousand deletions.
            stack.kubectl("delete", "namespace", name, "--timeout=240s", check=False)
        subprocess.run(
            [sys.executable, "-m", "tests.cluster", "kwok-down"], cwd=stack.ROOT, check=False
        )
        stack.kubectl("-n", stack.SYSTEM, "scale", "deployment/modelfleet-operator", "--replicas=1")


def placement() -> Json:
    """Only on fake nodes."""
    key = "modelfleet.local/fake"
    return {
        "nodeSelector": {key: "true"},
        "tolerations": [{"key": key, "operator": "Exists", "effect": "NoSchedule"}],
    }


def floor(namespace: str) -> float:
    """Seconds until as many plain Deployments are available."""
    bodies = [_deployment(namespace, f"m{i:04d}") for i in range(MODELS)]
    began = time.monotonic()
    asyncio.run(_post("deployments", namespace, bodies))
    _until(lambda: _ready_deployments(namespace) == MODELS, every=2.0)
    took = round(time.monotonic() - began, 1)
    stack.kubectl("-n", namespace, "delete", "deployments", "--all", "--wait=false")
    _until(lambda: not stack.items("pods", namespace))
    return took


def _deployment(namespace: str, name: str) -> Json:
    labels = {"app": name}
    container = {"name": "server", "image": "modelfleet/server:dev"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **placement()},
            },
        },
    }


def _ready_deployments(namespace: str) -> int:
    found = stack.items("deployments", namespace)
    return sum((d.get("status") or {}).get("availableReplicas", 0) == 1 for d in found)


def fleet(namespace: str) -> dict[str, Any]:
    """Start, restart and edit the fleet under our operator."""
    operator = _start()
    try:
        position = stack.audit_position()
        began, cpu = time.time(), _metrics()["process_cpu_seconds_total"]
        bodies = [_model(namespace, f"m{i:04d}") for i in range(MODELS)]
        asyncio.run(_post("mlmodels", namespace, bodies))
        times = _watch_ready(namespace, began)
        figures = {
            "ready_seconds": round(max(times), 1),
            "ready_median_seconds": round(statistics.median(times), 1),
            "ready_median_percent_of_all": round(100 * statistics.median(times) / max(times)),
        }
        time.sleep(5)
        numbers = _metrics()
        requests = _requests(position)
        figures |= {
            "operator_cpu_seconds": round(numbers["process_cpu_seconds_total"] - cpu, 1),
            "operator_rss_mib": round(numbers["process_resident_memory_bytes"] / 2**20),
            "requests_per_model": round(len(requests) / MODELS, 2),
            "writes_per_model": round(len(stack.writes(position)) / MODELS, 2),
        }
        operator.kill()
        operator.wait()
        operator, restart = _restart()
        return {**figures, **restart, **_edits(namespace)}
    finally:
        operator.terminate()
        operator.wait(timeout=30)


def _model(namespace: str, name: str) -> Json:
    return {
        "apiVersion": "modelfleet.dev/v1alpha1",
        "kind": "MLModel",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "runtime": {"name": "custom", "image": "modelfleet/server:dev"},
            "placement": placement(),
            "quality": {"generatedProbes": False},
        },
    }


def _start() -> subprocess.Popen[bytes]:
    log = (stack.ROOT / "build" / "bench-operator.log").open("ab")
    environment = {**os.environ, **SETTINGS, "PYTHONPATH": "operator"}
    process = subprocess.Popen(
        stack.enter([sys.executable, "-m", "modelfleet", "operator"]),
        cwd=stack.ROOT,
        env=environment,
        stderr=log,
    )
    _until(lambda: _metrics().get("modelfleet_leader") == 1)
    return process


def _restart() -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Time until every model had its turn and nothing waits any more."""
    position, began = stack.audit_position(), time.monotonic()
    process = _start()

    def is_quiet() -> bool:
        numbers = _metrics()
        turns = numbers.get('modelfleet_turns_total{outcome="done"}', 0)
        return turns >= MODELS and numbers.get("modelfleet_queue_depth", 1) == 0

    _until(is_quiet, every=0.1)
    took = round(time.monotonic() - began, 1)
    time.sleep(3)
    return process, {
        "restart_quiet_seconds": took,
        "restart_cpu_seconds": round(_metrics()["process_cpu_seconds_total"], 1),
        "restart_writes": len(stack.writes(position)),
        "restart_requests": len(_requests(position)),
    }


def _edits(namespace: str) -> dict[str, Any]:
    """A hundred edits at once: from the edit's arrival to the Deployment's, by the audit log."""
    position = stack.audit_position()
    patch = {"spec": {"scaling": {"minReplicas": 2}}}
    names = [f"m{i:04d}" for i in range(0, MODELS, max(1, MODELS // EDITS))][:EDITS]
    asyncio.run(_patch(namespace, names, patch))
    _until(lambda: len(_scaled(position)) >= len(names))
    edited, scaled = _edited(position), _scaled(position)
    waits = sorted(1000 * (scaled[n] - edited[n]) for n in names)
    return {
        "edit_p50_milliseconds": round(waits[len(waits) // 2]),
        "edit_p99_milliseconds": round(waits[int(len(waits) * 0.99) - 1]),
    }


def _edited(position: int) -> dict[str, float]:
    return {
        e["objectRef"]["name"]: _stamp(e["requestReceivedTimestamp"])
        for e in stack.writes(position, "modelfleet-bench")
    }


def _scaled(position: int) -> dict[str, float]:
    return {
        e["objectRef"]["name"].rsplit("-v", 1)[0]: _stamp(e["stageTimestamp"])
        for e in stack.writes(position)
        if e["objectRef"]["resource"] == "deployments" and e["verb"] == "patch"
    }


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _requests(position: int) -> list[Json]:
    found = []
    with stack.AUDIT_LOG.open("rb") as log:
        log.seek(position)
        for line in log:
            event = json.loads(line)
            resource = (event.get("objectRef") or {}).get("resource")
            if (
                event.get("userAgent", "").startswith("modelfleet-operator")
                and resource != "leases"
            ):
                found.append(event)
    return found


def _watch_ready(namespace: str, began: float) -> list[float]:
    """Seconds from `began` (wall clock) to Ready of each model, as the models themselves say.

    Asked rarely: to list a thousand objects is work for the server that is measured.
    """

    def all_ready() -> list[float]:
        found = [c for c in map(_ready_since, stack.items("mlmodels", namespace)) if c]
        print(f"\r  {len(found)} of {MODELS} ready", end="", flush=True)
        return found if len(found) == MODELS else []

    found = stack.wait("all models to be ready", all_ready, PATIENCE_SECONDS, every=5.0)
    print()
    return [at - began for at in found]


def _ready_since(model: Json) -> float:
    for one in (model.get("status") or {}).get("conditions") or []:
        if one["type"] == "Ready" and one["status"] == "True":
            return _stamp(one["lastTransitionTime"])
    return 0.0


def _metrics() -> dict[str, float]:
    try:
        text = stack.inside("curl", "-s", "-m", "2", f"http://127.0.0.1:{PORT}/metrics")
    except RuntimeError:
        return {}
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def _until(found: Any, every: float = 0.5) -> None:
    stack.wait("the benchmark's next step", found, PATIENCE_SECONDS, every)


async def _post(plural: str, namespace: str, bodies: list[Json]) -> None:
    await _send([("POST", plural, namespace, body) for body in bodies])


async def _patch(namespace: str, names: list[str], patch: Json) -> None:
    await _send([("PATCH", f"mlmodels/{name}", namespace, patch) for name in names])


async def _send(requests: list[tuple[str, str, str, Json]]) -> None:
    """Through our own client, as another user agent."""
    os.environ["KUBECONFIG"] = str(stack.KUBECONFIG)
    from modelfleet.kube.access import load_access
    from modelfleet.kube.client import KubeClient
    from modelfleet.kube.resource import DEPLOYMENTS, MODELS

    client = KubeClient(load_access(), concurrency=AT_ONCE, component="bench")
    by_plural = {"mlmodels": MODELS, "deployments": DEPLOYMENTS}

    async def one(method: str, place: str, namespace: str, body: Json) -> None:
        plural, _, name = place.partition("/")
        resource = by_plural[plural]
        if method == "POST":
            await client.post(resource, namespace, body)
        else:
            await client.patch(resource.path(namespace, name), body, kind=resource.kind)

    try:
        await asyncio.gather(*(one(*request) for request in requests))
    finally:
        await client.close()
