"""Somebody else sets the replicas: `spec.replicas`, `kubectl scale`, modes of the autoscaler."""

import json

from tests import stack
from tests.e2e.conftest import model, ready

SMALL = {"minReplicas": 1, "maxReplicas": 2}


def claim(namespace: str) -> tuple[str, str, str]:
    return stack.condition(stack.get("mlmodel", namespace, "digits"), "ScalingActive")


def replicas(namespace: str) -> int:
    return len(stack.items("pods", namespace, "modelfleet.dev/role=replica"))


def patch(namespace: str, spec: dict[str, object]) -> None:
    stack.kubectl(
        *("-n", namespace, "patch", "mlmodel", "digits", "--type=merge"),
        *("-p", json.dumps({"spec": spec})),
    )


def test_kubectl_scale_is_followed_named_and_handed_back(namespace, store):
    stack.apply(model(namespace, f"{store}/digits-1.onnx", scaling=SMALL))
    ready(namespace)
    assert claim(namespace)[:2] == ("True", "Following")
    patch(namespace, {"replicas": 1})
    stack.kubectl("-n", namespace, "scale", "mlmodel", "digits", "--replicas=3")
    stack.wait("three replicas, above maxReplicas", lambda: replicas(namespace) == 3, 60)
    stack.wait("ExternalReplicas", lambda: claim(namespace)[1] == "ExternalReplicas", 10)
    assert "set to 3 by kubectl" in claim(namespace)[2]
    scale = json.loads(
        stack.kubectl(
            "get",
            "--raw",
            f"/apis/modelfleet.dev/v1alpha1/namespaces/{namespace}/mlmodels/digits/scale",
        )
    )
    assert scale["status"] == {"replicas": 3, "selector": "modelfleet.dev/model=digits"}
    patch(namespace, {"replicas": None})
    stack.wait("Following", lambda: claim(namespace)[1] == "Following", 10)
    stack.wait("within the bounds again", lambda: replicas(namespace) <= 2, 120)


def test_other_modes_leave_the_replicas_alone_and_say_so(namespace, store):
    stack.apply(model(namespace, f"{store}/digits-1.onnx", scaling=SMALL | {"mode": "Recommend"}))
    ready(namespace)
    assert claim(namespace)[:2] == ("False", "Recommending")
    patch(namespace, {"scaling": {"mode": "Off"}})
    stack.wait("SwitchedOff", lambda: claim(namespace)[1] == "SwitchedOff", 10)
    assert replicas(namespace) == 1
