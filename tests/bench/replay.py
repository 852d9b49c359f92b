"""An hour of a public trace in ten minutes on the real cluster, and the same in the simulator.

Called by `tests.bench` (`python -m tests.bench replay`). Requests go through the real gateway to
real pods that take time and no CPU (`tests.e2e.paced`), as two cores carry no six replicas that
compute. Then the simulator gets the very same requests, and the start-up and service time that were
measured. Writes `build/replay.json` and `docs/pictures/replay.png`. Must never assert anything.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from modelfleet.simulate.simulated_service import SimulatedService
from tests import stack
from tests.bench import replay_picture, replay_traffic
from tests.bench.replay_simulated import simulate
from tests.demo.cluster import Kubernetes
from tests.demo.watch import Seen
from tests.e2e import operator_process, paced
from tests.e2e.conftest import model, ready
from tests.e2e.prometheus_process import configure_operator

SLOTS, LOAD_SECONDS = 2, 6.0
"""Requests that a replica works on at once; loading of the model, a minute of the trace's time."""
OBJECTIVE_SECONDS, PERCENTILE = 1.0, 95
SCALE_DOWN_SECONDS, LOCAL_SCALE_DOWN_SECONDS = "60", "15"
"""The shipped setting, which the simulator has too, and that of the local overlay."""
MAX_REPLICAS = 10
FILE = stack.ROOT / "build" / "replay.json"


def run() -> dict[str, Any]:
    """Both runs; returns the figures."""
    namespace = f"bench-replay-{time.time_ns() % 10**6}"
    stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    seen = Seen(Kubernetes(), namespace)
    try:
        configure_operator(scale_down_seconds=SCALE_DOWN_SECONDS)
        found = _real(namespace, seen)
    finally:
        seen.closed = True
        configure_operator(scale_down_seconds=LOCAL_SCALE_DOWN_SECONDS)
        stack.kubectl("delete", "namespace", namespace, "--wait=false")
    found["simulated"] = _simulated(found)
    found["figures"] = _figures(found)
    FILE.write_text(json.dumps(found))
    replay_picture.draw(found)
    figures: dict[str, Any] = found["figures"]
    return figures


def _real(namespace: str, seen: Seen) -> dict[str, Any]:
    """Serve, send, look each second."""
    folder = Path(tempfile.mkdtemp())
    work = replay_traffic.lengths()
    asked = paced.questions(folder, work)
    stack.apply(_model(namespace))
    ready(namespace, seconds=120)
    seen.start()
    host = f"digits.{namespace}.localhost"
    plan = replay_traffic.plan_of(host, asked.questions, {"digits-v1": paced.KIND})
    (folder / "plan.json").write_text(json.dumps(plan))
    points = _send(folder, seen)
    sent = json.loads((folder / "outcome.json").read_text())
    moments, works = replay_traffic.foreseen(replay_traffic.parsed(plan), work)
    return {
        "seconds": float(sum(step[0] for step in plan["steps"])),
        "startup_seconds": statistics.median(seen.start_seconds()),
        "service_seconds": operator_process.terms(namespace)["service"],
        "points": [{**p, "seconds": p["at"] - sent["began"]} for p in points],
        "starts": len(seen.start_seconds()),
        "real": sent,
        "moments": [round(float(one), 4) for one in moments],
        "work": [round(float(one), 4) for one in works],
    }


def _model(namespace: str) -> stack.Json:
    return model(
        namespace,
        None,
        runtime=paced.runtime(slots=SLOTS, load_seconds=LOAD_SECONDS),
        objective={
            "latencyMilliseconds": round(1000 * OBJECTIVE_SECONDS),
            "percentile": PERCENTILE,
        },
        scaling={
            "minReplicas": 1,
            "maxReplicas": MAX_REPLICAS,
            "concurrencyPerReplica": SLOTS,
        },
        resources={"cpu": "50m", "memory": "128Mi"},
    )


def _send(folder: Path, seen: Seen) -> list[dict[str, float]]:
    """Run the generator in a process of its own; what was seen of the cluster each second."""
    sender = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.bench.replay_traffic"),
            *(str(folder / "plan.json"), str(folder / "outcome.json")),
        ],
        cwd=stack.ROOT,
    )
    points: list[dict[str, float]] = []
    try:
        while sender.poll() is None:
            points.append(_point(seen))
            if len(points) % 60 == 0:
                print(f"  {len(points)} s: {points[-1]['ready']} replicas", flush=True)
            time.sleep(1.0)
    finally:
        if sender.poll() is None:
            sender.kill()
            sender.wait()
    return points


def _point(seen: Seen) -> dict[str, float]:
    with seen.changed:
        status = seen.model("digits").get("status") or {}
        return {
            "at": time.time(),
            "wanted": status.get("replicas") or 0,
            "ready": seen.ready(),
            "alive": len(seen.pods),
        }


def _simulated(found: dict[str, Any]) -> dict[str, Any]:
    """The same requests; what the way through the gateway costs is added to their work."""
    work = np.array(found["work"], dtype=np.float32)
    way = max(0.0, found["service_seconds"] - float(work.mean()))
    service = SimulatedService(
        startup_seconds=found["startup_seconds"],
        wait_seconds=OBJECTIVE_SECONDS - found["service_seconds"],
        slots=SLOTS,
        service_seconds=found["service_seconds"],
        service_cv=replay_traffic.SERVICE_CV,
    )
    return simulate(
        np.array(found["moments"]),
        (work + np.float32(way)).astype(np.float32),
        service,
        aim=1 - PERCENTILE / 100,
        seconds=found["seconds"],
        objective_seconds=OBJECTIVE_SECONDS,
    )


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    real, simulated = found["real"], found["simulated"]
    requests = real["requests"]
    over = sum(1 for _, latency, failed in requests if failed or latency > OBJECTIVE_SECONDS)
    within = [p for p in found["points"] if 0 <= p["seconds"] <= found["seconds"]]
    lengths = np.diff([p["seconds"] for p in within], append=found["seconds"])
    cost = float(np.dot(lengths, [p["alive"] for p in within]))
    return {
        "requests": len(requests),
        "requests_simulated": simulated["requests"],
        "failed": real["total"]["failed"],
        "over_objective_percent_real": round(100 * over / len(requests), 2),
        "over_objective_percent_simulated": round(
            100 * simulated["over"] / simulated["requests"], 2
        ),
        "allowed_percent": 100 - PERCENTILE,
        "mean_difference_of_wanted_replicas": _difference(found, "wanted"),
        "mean_difference_of_ready_replicas": _difference(found, "ready"),
        "replica_seconds_real": round(cost),
        "replica_seconds_simulated": round(simulated["replica_seconds"]),
        "starts_real": found["starts"],
        "starts_simulated": simulated["starts"],
        "latency_milliseconds_real": real["total"]["latency_ms"],
        "latency_milliseconds_simulated": simulated["latency_ms"],
        "startup_seconds_measured": round(found["startup_seconds"], 2),
        "service_seconds_measured": round(found["service_seconds"], 3),
    }


def _difference(found: dict[str, Any], name: str) -> float:
    """Mean absolute difference, compared each second; a number holds until the next one."""
    seconds = np.arange(0.0, found["seconds"])
    rows = []
    for points in (found["points"], found["simulated"]["points"]):
        at = np.array([p["seconds"] for p in points])
        places = np.clip(np.searchsorted(at, seconds, side="right") - 1, 0, None)
        rows.append(np.array([p[name] for p in points])[places])
    return round(float(np.abs(rows[0] - rows[1]).mean()), 2)
