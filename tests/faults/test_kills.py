"""kill -9 of the operator before, in the middle of and after each kind of write.

The operator of the cluster is set to zero; in its place runs `tests.faults.dying`, which dies at
a write, is started again, dies at the next, until a rollout and a scale-down are through. The end
must be that of a run without deaths, nothing lost, no version made twice.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stack
from tests.e2e.conftest import model, ready

SEED = int(os.environ.get("MODELFLEET_SEED", "20261124"))
LEAST_KILLS = 30
POINTS = ("before", "middle", "after")
LIFE_SECONDS = 60
SETTINGS = {
    "MODELFLEET_SERVER_IMAGE": "modelfleet/server:dev",
    "MODELFLEET_DEFAULT_EXPOSURE": "External",
    "MODELFLEET_SCALE_DOWN_SECONDS": "5",
    "MODELFLEET_KEEP_WARM_SECONDS": "3",
    "MODELFLEET_PRE_STOP_SECONDS": "2",
    "MODELFLEET_LEASE_SECONDS": "3",
    "MODELFLEET_POD_NAME": "campaign",
}


class Operator:
    """The operator as a process of ours in the cluster's network."""

    def __init__(self, log: Path, namespace: str) -> None:
        self.log = log
        self.namespace = namespace
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, passing: int, point: str) -> None:
        command = [sys.executable, "-m", "tests.faults.dying", str(passing), point]
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                stack.enter(command),
                cwd=stack.ROOT,
                stderr=sink,
                env={
                    **os.environ,
                    **SETTINGS,
                    "MODELFLEET_WATCH_NAMESPACES": self.namespace,
                    "PYTHONPATH": "operator:.",
                },
            )

    def is_dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def operator(tmp_path, namespace) -> Iterator[Operator]:
    """In the place of the cluster's own operator, which comes back afterwards."""
    deployment = ["-n", stack.SYSTEM, "scale", "deployment/modelfleet-operator"]
    stack.kubectl(*deployment, "--replicas=0")
    stack.wait(
        "the cluster's operator to end",
        lambda: not stack.items("pods", stack.SYSTEM, "app.kubernetes.io/name=modelfleet-operator"),
        40,
    )
    running = Operator(tmp_path / "operator.log", namespace)
    yield running
    running.stop()
    stack.kubectl(*deployment, "--replicas=1")
    stack.kubectl("-n", stack.SYSTEM, "rollout", "status", "deployment/modelfleet-operator")


def outcome(namespace: str) -> dict:
    """What must be the same whatever happened on the way."""
    found = stack.get("mlmodel", namespace, "digits")
    status = found["status"]
    return {
        "stable": status["stable"],
        "candidate": status.get("candidate"),
        "weights": {w["version"]: w["weight"] for w in status["route"]["weights"]},
        "versions": sorted(
            v["metadata"]["name"] for v in stack.items("mlmodelversions", namespace)
        ),
        "deployments": {
            d["metadata"]["name"]: d["spec"]["replicas"]
            for d in stack.items("deployments", namespace)
        },
        "services": sorted(s["metadata"]["name"] for s in stack.items("services", namespace)),
        "resolving": [
            p["metadata"]["name"]
            for p in stack.items("pods", namespace, "modelfleet.dev/role=resolve")
        ],
    }


EXPECTED = {
    "stable": "digits-v2",
    "candidate": None,
    "weights": {"digits-v2": 100},
    "versions": ["digits-v1", "digits-v2"],
    "deployments": {"digits-v2": 1},
    "services": ["digits", "digits-v2"],
    "resolving": [],
}


def test_deaths_at_every_write_lose_nothing(namespace, store, load, operator):
    chance = random.Random(SEED)
    wanted = model(namespace, f"{store}/digits-1.onnx", version="one", scaling={"minReplicas": 3})
    operator.start(0, "never")
    stack.apply(wanted)
    ready(namespace)
    operator.stop()
    load.say(allow={"digits-v1": "one", "digits-v2": "two"})
    load.rate(30, 900)
    wanted["spec"]["model"] = {"uri": f"{store}/digits-2.onnx", "version": "two"}
    wanted["spec"]["scaling"] = {"minReplicas": 1, "maxReplicas": 3}
    stack.apply(wanted)
    kills = live_and_die(operator, chance, namespace)
    if not operator.is_dead():
        operator.stop()
    operator.start(0, "never")
    stack.wait(f"the end state {EXPECTED}", lambda: outcome(namespace) == EXPECTED, 60, every=1)
    total = load.end()["total"]
    deaths = re.findall(r"DYING (\w+) (\w+) (\S+)", operator.log.read_text())
    kinds = sorted({(method, _kind(path), point) for point, method, path in deaths})
    print(f"\nseed {SEED}: {kills} kills, {len(kinds)} different kinds: {kinds}\n{total}")
    assert outcome(namespace) == EXPECTED
    assert kills >= LEAST_KILLS, deaths
    assert total["failed"] == 0, total


def live_and_die(operator: Operator, chance: random.Random, namespace: str) -> int:
    """Start, wait for the death, again; until a life finds nothing more to write."""
    kills = 0
    points = list(POINTS)
    while True:
        if not points:
            points = list(POINTS)
        point = points.pop(chance.randrange(len(points)))
        operator.start(0, point)
        deadline = time.monotonic() + LIFE_SECONDS
        while not operator.is_dead() and time.monotonic() < deadline:
            time.sleep(0.1)
            if outcome(namespace) == EXPECTED:
                break
        if not operator.is_dead():
            operator.stop()
            return kills
        kills += 1


def _kind(path: str) -> str:
    parts = path.strip("/").split("/")
    rest = parts[parts.index("namespaces") + 2 :]
    return "/".join([rest[0], *rest[2:]])
