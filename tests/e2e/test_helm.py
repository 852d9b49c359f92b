"""Helm on the real cluster: take over, test, upgrade, roll back and uninstall, with traffic."""

import contextlib
import json

import pytest

from tests import stack
from tests.chart.helm import CHART, LOCAL_VALUES, RELEASE, HelmError, helm, major
from tests.e2e.conftest import model, ready

pytestmark = pytest.mark.alone

RATE = 20
WAIT = ("--wait", "--timeout", "300s")
FORCED = ("--force-conflicts",) if major() >= 4 else ()
"""Helm 4 applies on the server, where the fields of the manifests also belong to kubectl."""


def on_release(verb: str, *arguments: str) -> str:
    return helm(
        "--kubeconfig", str(stack.KUBECONFIG), "--namespace", stack.SYSTEM, verb, *arguments
    )


def upgrade(*arguments: str) -> None:
    values = ("--values", str(LOCAL_VALUES))
    on_release("upgrade", "--install", RELEASE, str(CHART), *values, *WAIT, *arguments)


def replicas(namespace: str) -> list[str]:
    return sorted(pod["metadata"]["uid"] for pod in stack.items("pods", namespace))


def left_over() -> list[str]:
    """Objects with Helm's label in and outside of namespaces, apart from the kept CRDs."""
    kinds = stack.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    wanted = ",".join(
        kind for kind in kinds if kind.split(".")[0] not in {"events", "componentstatuses"}
    )
    found = json.loads(
        stack.kubectl(
            *("get", wanted, "-A", "-l", "app.kubernetes.io/managed-by=Helm", "-o", "json")
        )
    )
    return [
        f"{item['kind']}/{item['metadata']['name']}"
        for item in found["items"]
        if item["kind"] != "CustomResourceDefinition"
    ]


@pytest.fixture
def manifests_again():
    """The other tests run on the manifests."""
    yield
    with contextlib.suppress(HelmError):
        on_release("uninstall", RELEASE, *WAIT)
    stack.install()


@pytest.mark.usefixtures("manifests_again")
def test_a_release_comes_changes_and_goes(namespace, store, load):
    # One replica: a slow machine would buy more of them, which is no replacement.
    bounds = {"minReplicas": 1, "maxReplicas": 1}
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one", scaling=bounds))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(RATE, 3600)
    before = replicas(namespace)

    upgrade("--take-ownership", *FORCED)
    print(f"\n{on_release('test', RELEASE, '--timeout', '300s')}")
    upgrade("--set", "operator.replicas=2", "--set", "gateway.podAnnotations.changed=yes", *FORCED)
    assert stack.get("deployment", stack.SYSTEM, "modelfleet-operator")["spec"]["replicas"] == 2
    on_release("rollback", RELEASE, "1", *WAIT, *FORCED)
    assert stack.get("deployment", stack.SYSTEM, "modelfleet-operator")["spec"]["replicas"] == 1
    total = load.end()["total"]
    print(total)
    assert total["failed"] == 0, total
    assert replicas(namespace) == before, "no replica was replaced"

    on_release("uninstall", RELEASE, *WAIT)
    assert left_over() == []
    assert stack.get("mlmodel", namespace, "digits") is not None, "models are kept"
    assert replicas(namespace) == before
    upgrade()
    ready(namespace)
    assert replicas(namespace) == before, "a new release finds the models as they were"
