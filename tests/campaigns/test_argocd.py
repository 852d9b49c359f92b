"""A real Argo CD keeps modelfleet and its models from a git repository, with traffic.

`make argocd`; MODELFLEET_ARGOCD_MINUTES is how long self-heal and operator may not disturb each
other (10).
"""

from __future__ import annotations

import os
import time

import pytest
import yaml

from tests import stack
from tests.argocd.server import (
    NAMESPACE,
    ArgoCD,
    Repository,
    application,
    health_of,
    refresh,
    state,
)
from tests.chart.helm import CHART, LOCAL_VALUES
from tests.e2e.conftest import model, ready

pytestmark = pytest.mark.alone

RATE = 20
MINUTES = float(os.environ.get("MODELFLEET_ARGOCD_MINUTES", "10"))
HEALTHY = ("Synced", "Healthy")
APP, MODELS = "modelfleet", "models"


@pytest.fixture
def argocd(tmp_path):
    server = ArgoCD(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.end()
        stack.install()


def reaches(name: str, *wanted: tuple[str, str], seconds: float = 180) -> None:
    stack.wait(f"{name} to be {wanted}", lambda: state(name) in wanted, seconds)


def model_is(health: str, words: str = "", seconds: float = 120) -> str:
    def found() -> str:
        now, message = health_of(MODELS, "MLModel", "digits")
        return (message or now) if now == health and words in message else ""

    return stack.wait(f"the model to be {health} {words}", found, seconds)


def committed(repository: Repository, message: str, *objects: stack.Json) -> None:
    repository.write("models/models.yaml", *objects)
    repository.commit(message)
    refresh(MODELS)


def serves(namespace: str, word: str) -> None:
    stack.wait(
        f"{word} to serve",
        lambda: (stack.get("mlmodel", namespace, "digits") or {})["status"].get("model") == word,
        120,
    )
    ready(namespace, seconds=60)


@pytest.mark.timeout(7200)
def test_argocd_keeps_the_operator_and_its_models(argocd, namespace, store, load):
    def digits(word: str, **spec: object) -> stack.Json:
        file = f"{store}/digits-{1 if word == 'one' else 2}.onnx"
        bounds = {"minReplicas": 1, "maxReplicas": 1}
        return model(namespace, file, version=word, scaling=bounds, **spec)

    repository = Repository(argocd.repository)
    repository.copy(CHART, "charts/modelfleet")
    repository.write("models/models.yaml", digits("one"))
    repository.commit("modelfleet and a model")
    values = {"releaseName": "modelfleet", "valuesObject": yaml.safe_load(LOCAL_VALUES.read_text())}
    stack.apply(
        application(APP, repository.url, "charts/modelfleet", stack.SYSTEM, helm=values),
        application(MODELS, repository.url, "models", namespace),
    )
    reaches(APP, HEALTHY, seconds=240)
    reaches(MODELS, HEALTHY)
    ready(namespace)
    load.say(allow={"digits-v1": "one", "digits-v2": "two"})
    load.rate(RATE, 7200)

    committed(repository, "the next version", digits("two"))
    print(f"\nrollout: {model_is('Progressing')}")
    serves(namespace, "two")
    reaches(MODELS, HEALTHY)

    repository.revert()
    refresh(MODELS)
    serves(namespace, "one")
    reaches(MODELS, HEALTHY)

    broken = digits("one")
    broken["spec"]["model"] = {"uri": f"{store}/none.onnx", "version": "broken"}
    committed(repository, "a model that is not there", broken)
    print(f"broken: {model_is('Degraded', '404')}")
    reaches(MODELS, ("Synced", "Degraded"))
    committed(repository, "back", digits("one"))
    reaches(MODELS, HEALTHY)

    committed(repository, "a version that has to wait", digits("two", paused=True))
    print(f"paused: {model_is('Suspended')}")
    committed(repository, "no pause", digits("two"))
    serves(namespace, "two")
    reaches(MODELS, HEALTHY)

    stack.kubectl(
        *("-n", namespace, "patch", "mlmodel", "digits", "--type=merge"),
        *("-p", '{"spec":{"scaling":{"maxReplicas":7}}}'),
    )
    stack.wait(
        "self-heal",
        lambda: stack.get("mlmodel", namespace, "digits")["spec"]["scaling"]["maxReplicas"] == 1,
        60,
    )
    reaches(MODELS, HEALTHY)
    time.sleep(20)
    nobody_fights(namespace)
    total = load.end()["total"]
    print(total)
    assert total["failed"] == 0, total


def nobody_fights(namespace: str) -> None:
    """For some minutes neither Argo CD syncs nor the operator writes."""
    histories, before = syncs(), stack.audit_position()
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end:
        assert state(APP) == HEALTHY
        assert state(MODELS) == HEALTHY
        time.sleep(5)
    operator = [stack.written(event) for event in stack.writes(before)]
    argo = [
        stack.written(event)
        for event in stack.writes(before, "argocd-application-controller")
        if event["objectRef"].get("namespace") in {namespace, stack.SYSTEM}
    ]
    print(
        f"self-heal on for {MINUTES:g} min: {len(operator)} writes of ours, {len(argo)} of Argo CD"
    )
    assert operator == []
    assert argo == []
    assert syncs() == histories


def syncs() -> dict[str, int]:
    return {
        app["metadata"]["name"]: len(app["status"].get("history") or [])
        for app in stack.items("applications", NAMESPACE)
    }
