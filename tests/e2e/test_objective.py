"""Objectives that replicas cannot meet are said, and those that fewer at once can meet are met."""

import json
import time

import pytest

from tests import stack
from tests.demo import digits
from tests.e2e import paced
from tests.e2e.conftest import Load, model, ready

SECONDS, EACH_MILLISECONDS = 0.2, 20
"""A request alone takes 200 ms, and 20 ms more for each one beside it."""
HINT, OBJECTIVE_MILLISECONDS, RATE = 32, 400, 30
"""One replica has 15 of them at once (500 ms), two have four each (280 ms)."""
LAST = ("one", "two", "three")
"""Spans of time at the end: others use the machine too, so one of them has to do."""


@pytest.fixture(scope="session")
def artifacts(folder) -> digits.Digits:
    """Requests of full size: each takes several milliseconds."""
    return digits.make(folder)


def claim(namespace: str) -> tuple[str, str, str]:
    return stack.condition(stack.get("mlmodel", namespace, "digits"), "ScalingActive")


def status(namespace: str, name: str = "digits") -> stack.Json:
    return stack.get("mlmodel", namespace, name)["status"]


def promise(namespace: str, milliseconds: int) -> None:
    patch = {"spec": {"objective": {"latencyMilliseconds": milliseconds}}}
    stack.kubectl(
        *("-n", namespace, "patch", "mlmodel", "digits", "--type=merge"),
        *("-p", json.dumps(patch)),
    )


@pytest.mark.timeout(600)
def test_objective_below_the_models_own_latency_is_named_and_buys_nothing(namespace, store, load):
    scaling = {"minReplicas": 1, "maxReplicas": 6}
    objective = {"latencyMilliseconds": 1}
    spec = {"scaling": scaling, "objective": objective}
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one", **spec))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(3)
    stack.wait("the reason", lambda: claim(namespace)[1] == "ObjectiveUnreachable", 120, every=1)
    time.sleep(30)
    is_active, reason, text = claim(namespace)
    most = status(namespace)["replicas"]
    print(f"\n{reason}, {most} replicas: {text}")
    assert (is_active, reason) == ("False", "ObjectiveUnreachable")
    assert text.startswith("objective.latencyMilliseconds 1 cannot be met by more replicas")
    floor = float(text.split("takes ")[1].split(" ms")[0])
    assert floor > 1
    assert most <= 2
    promise(namespace, 2000)
    began = time.monotonic()
    stack.wait("the claim to clear", lambda: claim(namespace)[1] == "Following", 90, every=1)
    print(f"cleared {time.monotonic() - began:.0f} s after the objective was raised")
    assert status(namespace)["replicas"] <= 2
    total = load.end()["total"]
    print(f"{total}")
    assert total["failed"] == 0, total


@pytest.fixture
def two_loads(folder, namespace):
    """The same traffic on a model that promises a latency, and on one that promises none."""
    made = {}
    asked = paced.questions(folder, [SECONDS])
    for name in ("digits", "careless"):
        made[name] = Load(folder, asked, f"{name}.{namespace}.localhost")
        made[name].say(allow={f"{name}-v1": paced.KIND})
    yield made
    for one in made.values():
        one.kill()


@pytest.mark.timeout(600)
def test_hint_that_the_measured_latency_contradicts_is_corrected(namespace, two_loads):
    scaling = {"minReplicas": 1, "maxReplicas": 5, "concurrencyPerReplica": HINT}
    runtime = paced.runtime(slots=200, each_milliseconds=EACH_MILLISECONDS)
    spec = {"runtime": runtime, "scaling": scaling}
    promised = {**spec, "objective": {"latencyMilliseconds": OBJECTIVE_MILLISECONDS}}
    careless = model(namespace, None, "careless", **spec)
    # The builder gives every model a promise.
    del careless["spec"]["objective"]
    stack.apply(model(namespace, None, **promised), careless)
    for name in two_loads:
        ready(namespace, name)
    for one in two_loads.values():
        one.say(phase="first")
        one.rate(RATE)
    stack.wait("another replica", lambda: status(namespace)["replicas"] >= 2, 180, every=1)
    for phase in ("between", *LAST):
        for one in two_loads.values():
            one.say(phase=phase)
        time.sleep(20)
    found = {name: status(namespace, name) for name in two_loads}
    reports = {name: one.end() for name, one in two_loads.items()}
    for name, report in reports.items():
        spans = {phase: p95(report["phases"][phase]) for phase in ("first", *LAST)}
        print(f"\n{name}: p95 in ms {spans}, {found[name]['replicas']} replicas at the end")
        print(f"{name}: {'; '.join(found[name]['scaling']['why'])}")
        assert report["total"]["failed"] == 0, report["total"]
    best = {name: min(p95(r["phases"][phase]) for phase in LAST) for name, r in reports.items()}
    assert found["careless"]["replicas"] == 1, "a control: traffic alone needs one"
    assert best["careless"] > OBJECTIVE_MILLISECONDS
    assert p95(reports["digits"]["phases"]["first"]) > OBJECTIVE_MILLISECONDS
    assert best["digits"] <= OBJECTIVE_MILLISECONDS


def p95(phase: stack.Json) -> float:
    return phase["latency_ms"]["p95"]
