"""What only the controller can know is wrong: said within 30 s, healed by itself, alone."""

import json
import time

import pytest

from tests import stack
from tests.e2e.conftest import claims, model, ready


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"runtime": {"name": "nope"}}, "UnknownRuntime", "must be one of"),
        ({"uri": "/none.onnx"}, "FetchFailed", "404"),
        ({"digest": "sha256:" + "0" * 64}, "ArtifactMismatch", "has digest sha256:"),
        ({"uri": "/broken.onnx"}, "NotAModel", "not an ONNX model"),
        ({"runtime": {"image": "modelfleet/none:1"}}, "ImagePullFailed", "modelfleet/none:1"),
        ({"runtime": {"args": ["--no-such-option"]}}, "CrashLoop", "has ended"),
        ({"version": "digits-v9"}, "UnknownVersion", "must be an existing version"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_hopeless_spec_is_stalled_with_reason_and_advice(namespace, store, spec, reason, words):
    spec = dict(spec)
    uri = spec.pop("uri", "/digits-1.onnx")
    pin = spec.pop("version", None)
    wrong = model(namespace, f"{store}{uri}", **spec)
    if pin:
        wrong["spec"]["version"] = pin
    began = time.monotonic()
    stack.apply(wrong)
    # The 30 s count from the moment that is hopeless. For an image that is the pull's error, which
    # a node without a way out reports only after its look-ups of the registry have timed out.
    patience = 180 if reason == "ImagePullFailed" else 60
    found, message = claims(namespace, "Stalled", "True", seconds=patience)
    print(f"\n{reason}: said after {time.monotonic() - began:.1f} s: {message}")
    assert found == reason
    assert words in message
    assert stack.condition(stack.get("mlmodel", namespace, "digits"), "Reconciling")[0] == "False"


@pytest.mark.parametrize(
    "amount", ["1,5", "-1", "", "1 Gi", True, False, -0.5, [1], [], {}, {"a": 1}]
)
def test_what_is_no_amount_is_refused_by_name(namespace, amount):
    wrong = model(namespace, "https://models.example/digits.onnx", resources={"cpu": amount})
    with pytest.raises(RuntimeError, match=r"spec\.resources\.cpu"):
        stack.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(wrong))


def test_bad_version_leaves_the_good_one_serving_and_a_correction_mends_it(namespace, store, load):
    good = model(namespace, f"{store}/digits-1.onnx", version="one")
    stack.apply(good)
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(20)
    stack.apply(model(namespace, f"{store}/broken.onnx", version="two"))
    assert claims(namespace, "Stalled", "True", seconds=60)[0] == "NotAModel"
    found = stack.get("mlmodel", namespace, "digits")
    assert stack.condition(found, "Ready")[0] == "True"
    assert found["status"]["stable"] == "digits-v1"
    load.say(allow={"digits-v1": "one", "digits-v3": "two"})
    stack.apply(model(namespace, f"{store}/digits-2.onnx", version="three"))
    stack.wait(
        "the corrected version to serve",
        lambda: stack.get("mlmodel", namespace, "digits")["status"]["stable"] == "digits-v3",
        60,
    )
    ready(namespace)
    total = load.end()["total"]
    assert total["failed"] == 0, total


def test_a_version_made_by_hand_is_refused(namespace, store):
    """Whoever may write versions in RBAC still needs the right that only the operator has."""
    stack.apply(model(namespace, f"{store}/digits-1.onnx"))
    ready(namespace)
    version = stack.get("mlmodelversion", namespace, "digits-v1")
    by_hand = {
        "apiVersion": version["apiVersion"],
        "kind": version["kind"],
        "metadata": {"name": "digits-v77", "namespace": namespace},
        "spec": {**version["spec"], "number": 77},
    }
    rights = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "author", "namespace": namespace},
        "rules": [
            {
                "apiGroups": ["modelfleet.dev"],
                "resources": ["mlmodels", "mlmodelversions"],
                "verbs": ["get", "list", "create", "patch", "update"],
            }
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "author", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "author"},
        "subjects": [{"kind": "User", "name": "tenant", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    stack.apply(rights, binding)
    for verb in (["create"], ["apply", "--server-side"]):
        with pytest.raises(RuntimeError, match="only the modelfleet operator writes"):
            stack.kubectl("--as=tenant", *verb, "-f", "-", given=json.dumps(by_hand))
    assert stack.get("mlmodelversion", namespace, "digits-v77") is None
