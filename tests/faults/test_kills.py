"""kill -9 of the operator before, in the middle of and after each kind of write.

The operator of the cluster is set to zero; in its place runs `tests.faults.dying`, which dies at
a write, is started again, dies at the next, until a rollout and a scale-down are through. A write
that an earlier life has done already does not come again, so each kind dies before and in the
middle of it in one rollout, and after it in the next. The end must be that of a run without
deaths, nothing lost, no version made twice. The seed draws how long after sending `middle` is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import stack
from tests.e2e.conftest import model, ready

pytestmark = pytest.mark.alone

SEED = int(os.environ.get("MODELFLEET_SEED", "20261124"))
MIN_KILLS = 30
ROUNDS = (("before", "middle"), ("before", "after"))
POINTS = {point for points in ROUNDS for point in points}
LIFE_SECONDS = 60
EVERY_ROLLOUT = {
    "POST pods",
    "POST mlmodelversions",
    "POST deployments",
    "POST services",
    "PATCH mlmodels/status",
    "PATCH mlmodelversions/status",
    "PATCH pods",
    "PATCH deployments",
    "DELETE pods",
    "DELETE deployments",
    "DELETE services",
}
"""Writes that no rollout with a scale-down can do without."""
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

    def __init__(self, folder: Path, namespace: str) -> None:
        self.log = folder / "operator.log"
        self.ledger = folder / "ledger.json"
        self.lives = 0
        self.namespace = namespace
        self.process: subprocess.Popen[bytes] | None = None

    def may_die(self, points: tuple[str, ...]) -> None:
        """From the next start on: at these points of each kind of write, once each."""
        book = {"round": points, "left": {}, "died": self.deaths()}
        self.ledger.write_text(json.dumps(book))

    def deaths(self) -> list[list[str]]:
        """Kind of write and point of each death so far."""
        return json.loads(self.ledger.read_text())["died"] if self.ledger.exists() else []

    def start(self) -> None:
        self.lives += 1
        seed = str(SEED + self.lives)
        command = [sys.executable, "-m", "tests.faults.dying", str(self.ledger), seed]
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
                self.process.wait(timeout=stack.patience(20))
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
    running = Operator(tmp_path, namespace)
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


def expected(number: int) -> dict:
    """The end of the rollout to version `number`, as without any death."""
    name = f"digits-v{number}"
    return {
        "stable": name,
        "candidate": None,
        "weights": {name: 100},
        "versions": [f"digits-v{n}" for n in range(1, number + 1)],
        "deployments": {name: 1},
        "services": ["digits", name],
        "resolving": [],
    }


def test_deaths_at_every_write_lose_nothing(namespace, store, load, operator):
    operator.may_die(())
    operator.start()
    wanted = model(namespace, f"{store}/digits-1.onnx", version="one", scaling={"minReplicas": 3})
    stack.apply(wanted)
    ready(namespace)
    operator.stop()
    load.say(allow={"digits-v1": "one", "digits-v2": "two", "digits-v3": "one"})
    load.rate(30, 900)
    for number, points in enumerate(ROUNDS, start=2):
        roll_out(operator, wanted, store, number, points)
    operator.may_die(())
    operator.start()
    last = expected(len(ROUNDS) + 1)
    stack.wait(f"the end state {last}", lambda: outcome(namespace) == last, 60, every=1)
    total = load.end()["total"]
    deaths = operator.deaths()
    by_kind = {kind: {p for k, p in deaths if k == kind} for kind, _ in deaths}
    print(f"\nseed {SEED}: {len(deaths)} kills")
    for kind, points in sorted(by_kind.items()):
        print(f"  {kind:<34} {', '.join(sorted(points))}")
    print(total)
    assert outcome(namespace) == last
    assert {kind for kind, points in by_kind.items() if points == POINTS} >= EVERY_ROLLOUT
    assert len(deaths) >= MIN_KILLS, deaths
    assert total["failed"] == 0, total


def roll_out(
    operator: Operator, wanted: dict, store: str, number: int, points: tuple[str, ...]
) -> None:
    """To three replicas of a new version and down to one, in many lives."""
    namespace = wanted["metadata"]["namespace"]
    artifact = "digits-1" if number % 2 else "digits-2"
    wanted["spec"]["model"] = {"uri": f"{store}/{artifact}.onnx", "version": f"state-{number}"}
    wanted["spec"]["scaling"] = {"minReplicas": 3}
    stack.apply(wanted)
    operator.may_die(points)
    live_and_die(operator, lambda: outcome(namespace)["stable"] == f"digits-v{number}")
    wanted["spec"]["scaling"] = {"minReplicas": 1, "maxReplicas": 3}
    stack.apply(wanted)
    live_and_die(operator, lambda: outcome(namespace) == expected(number))


def live_and_die(operator: Operator, is_done: Callable[[], bool]) -> None:
    """Start, wait for the death, again; until a life reaches the aim."""
    while True:
        operator.start()
        deadline = time.monotonic() + stack.patience(LIFE_SECONDS)
        while not operator.is_dead() and time.monotonic() < deadline:
            time.sleep(0.1)
            if is_done():
                break
        if not operator.is_dead():
            operator.stop()
            if is_done():
                return
