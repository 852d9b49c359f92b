"""Foreign hands: edits and deletions are repaired, objects that are not ours are left alone."""

import pytest

from tests import stack
from tests.e2e.conftest import claims, model, ready


@pytest.fixture
def served(namespace, store):
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one"))
    ready(namespace)
    return namespace


@pytest.mark.parametrize(
    ("kind", "name"),
    [("deployment", "digits-v1"), ("service", "digits-v1"), ("service", "digits")],
)
def test_deleted_child_is_made_again(served, kind, name):
    old = stack.get(kind, served, name)["metadata"]["uid"]
    stack.kubectl("-n", served, "delete", kind, name, "--wait=false")

    def is_new() -> bool:
        found = stack.get(kind, served, name)
        return found is not None and found["metadata"]["uid"] != old

    stack.wait(f"a new {kind} {name}", is_new, 20)
    ready(served)


@pytest.mark.parametrize(
    ("kind", "patch", "path"),
    [
        (
            "deployment",
            '{"spec":{"template":{"spec":{"containers":[{"name":"server","image":"x"}]}}}}',
            "image",
        ),
        ("deployment", '{"spec":{"replicas":4}}', "replicas"),
        ("service", '{"spec":{"selector":{"modelfleet.dev/in-service":"no"}}}', "selector"),
    ],
    ids=["image", "replicas", "selector"],
)
def test_foreign_edit_is_repaired(served, kind, patch, path):
    before = stack.get(kind, served, "digits-v1")["spec"]
    stack.kubectl("-n", served, "patch", kind, "digits-v1", "--type=strategic", "-p", patch)

    def is_mended() -> bool:
        now = stack.get(kind, served, "digits-v1")["spec"]
        keys = ("replicas", "template", "selector")
        return all(now.get(key) == before.get(key) for key in keys)

    stack.wait(f"{path} to be repaired", is_mended, 30)
    ready(served)


def test_repair_names_the_editor(served):
    patch = '{"metadata":{"labels":{"app.kubernetes.io/managed-by":"me"}}}'
    stack.kubectl(
        "-n",
        served,
        "patch",
        "service",
        "digits-v1",
        "--type=merge",
        "--field-manager=mallory",
        "-p",
        patch,
    )
    # An object whose label is gone is not in our watch any more; it must come back all the same.
    stack.wait(
        "the label to be back",
        lambda: (
            stack.get("service", served, "digits-v1")["metadata"]["labels"].get(
                "app.kubernetes.io/managed-by"
            )
            == "modelfleet"
        ),
        30,
    )


def test_object_of_our_name_that_is_not_ours_is_left_alone(namespace, store):
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "digits", "namespace": namespace, "labels": {"owner": "somebody"}},
        "spec": {"type": "ExternalName", "externalName": "elsewhere.example"},
    }
    stack.apply(foreign)
    before = stack.get("service", namespace, "digits")["metadata"]["resourceVersion"]
    stack.apply(model(namespace, f"{store}/digits-1.onnx"))
    reason, message = claims(namespace, "Stalled", "True", seconds=60)
    assert (reason, "Service/digits" in message) == ("NameTaken", True)
    assert stack.get("service", namespace, "digits")["metadata"]["resourceVersion"] == before
    stack.kubectl("-n", namespace, "delete", "service", "digits")
    ready(namespace, seconds=90)
