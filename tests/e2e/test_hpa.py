"""The cluster's own HorizontalPodAutoscaler drives a model through `/scale`."""

import json
import time

import pytest

from tests import stack
from tests.e2e import metrics_api
from tests.e2e.conftest import model, ready

BOUNDS = {"minReplicas": 1, "maxReplicas": 2}
EACH = 10
FOLLOWS_SECONDS = 90
"""The controller looks every 15 s."""


@pytest.fixture
def metric():
    """Sets the external metric."""
    if not metrics_api.is_free():
        pytest.skip("somebody else serves external metrics on this cluster")
    served = metrics_api.MetricsApi()
    try:
        served.start()
        yield served.set
    finally:
        served.end()


def replicas(namespace: str) -> int:
    pods = stack.items("pods", namespace, "modelfleet.dev/role=replica")
    return sum(not pod["metadata"].get("deletionTimestamp") for pod in pods)


def claim(namespace: str) -> tuple[str, str, str]:
    return stack.condition(stack.get("mlmodel", namespace, "digits"), "ScalingActive")


def patch(namespace: str, spec: dict[str, object]) -> None:
    stack.kubectl(
        *("-n", namespace, "patch", "mlmodel", "digits", "--type=merge"),
        *("-p", json.dumps({"spec": spec})),
    )


def becomes(namespace: str, count: int) -> None:
    try:
        stack.wait(
            f"{count} replicas", lambda: replicas(namespace) == count, FOLLOWS_SECONDS, every=1
        )
    except TimeoutError as error:
        msg = f"{error}; the HPA: {metrics_api.said_of(namespace, 'digits')}; {claim(namespace)}"
        raise TimeoutError(msg) from error


@pytest.mark.timeout(600)
def test_hpa_is_followed_named_and_handed_back(namespace, store, load, metric):
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one", scaling=BOUNDS))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(5)
    # An HPA can read /scale only where spec.replicas has a value.
    patch(namespace, {"replicas": 1})
    metric(EACH)
    stack.apply(metrics_api.scaler(namespace, "digits", most=4, each=EACH))
    began = time.monotonic()
    stack.wait("the HPA to read the metric", lambda: is_reading(namespace), FOLLOWS_SECONDS, 1)
    assert replicas(namespace) == 1
    metric(3 * EACH)
    becomes(namespace, 3)
    stack.wait("all to serve", lambda: serving(namespace) == 3, 60)
    status, reason, text = claim(namespace)
    print(f"\n3 replicas after {time.monotonic() - began:.0f} s: {reason}: {text}")
    assert (status, reason) == ("False", "ExternalReplicas")
    assert "set to 3 by kube-controller-manager" in text
    metric(EACH)
    becomes(namespace, 1)
    hand_back(namespace)
    total = load.end()["total"]
    print(f"{total}")
    assert total["failed"] == 0, total
    assert total["sent"] > 100


def is_reading(namespace: str) -> bool:
    """Whether the HPA has a value, and took the number of replicas from `/scale`."""
    status = (stack.get("hpa", namespace, "digits") or {}).get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    return (
        conditions.get("AbleToScale") == "True"
        and conditions.get("ScalingActive") == "True"
        and status.get("currentReplicas") == 1
    )


def serving(namespace: str) -> int:
    """Ready replicas that stay."""
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True"
        for pod in stack.items("pods", namespace, "modelfleet.dev/role=replica")
        if not pod["metadata"].get("deletionTimestamp")
        for condition in pod["status"].get("conditions") or []
    )


def hand_back(namespace: str) -> None:
    """Without the HPA and the number the bounds of the model hold again, and nobody else is named.

    Its minimum shows who is followed: the HPA would keep one.
    """
    stack.kubectl("-n", namespace, "delete", "hpa", "digits")
    patch(namespace, {"replicas": None, "scaling": {"minReplicas": 2}})
    stack.wait("Following", lambda: claim(namespace)[:2] == ("True", "Following"), 30)
    becomes(namespace, 2)
