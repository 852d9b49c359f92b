"""`kubectl modelfleet` as a user runs it, on the real cluster."""

import json
import os
import subprocess
import sys

import pytest

from tests import stack
from tests.e2e.conftest import claims, model, ready

NO_SUCH, UNHEALTHY, MOVING = 2, 3, 4


def modelfleet(*arguments: str, code: int = 0, **environment: str) -> str:
    """Run a verb; returns what it prints, errors included."""
    done = subprocess.run(
        [sys.executable, "-m", "modelfleet", *arguments],
        env={**os.environ, "KUBECONFIG": str(stack.KUBECONFIG), "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_model_is_shown_and_steered(namespace, store):
    of_namespace = ("-n", namespace)
    assert "no models" in modelfleet("list", *of_namespace)
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one"))
    ready(namespace)
    stack.apply(model(namespace, f"{store}/digits-2.onnx", version="two"))
    stack.wait(
        "the second version",
        lambda: stack.get("mlmodel", namespace, "digits")["status"].get("stable") == "digits-v2",
        90,
    )
    ready(namespace)
    listed = modelfleet("list", *of_namespace, "--exit-code")
    assert "digits-v2" in listed
    assert "Healthy" in listed
    assert namespace in modelfleet("list", "-A", "-o", "wide")
    assert json.loads(modelfleet("list", *of_namespace, "-o", "json"))["items"]
    tree = modelfleet("status", "digits", *of_namespace)
    assert "digits-v2 (stable" in tree
    assert "ready" in tree
    assert "Retired" in modelfleet("versions", "digits", *of_namespace)
    changed = modelfleet("diff", "digits", "1", "2", *of_namespace, code=1)
    assert "digits-2.onnx" in changed
    assert "are equal" in modelfleet("diff", "digits", "v2", "digits-v2", *of_namespace)
    assert "fetch" in modelfleet("logs", "digits", *of_namespace)

    assert "goes back to digits-v1" in modelfleet("rollback", "digits", *of_namespace)
    serves(namespace, "digits-v1")
    modelfleet("pause", "digits", *of_namespace)
    assert "digits-v1 stays" in modelfleet("resume", "digits", *of_namespace)
    assert "the spec is followed" in modelfleet("resume", "digits", *of_namespace)
    serves(namespace, "digits-v2")

    modelfleet("pause", "digits", *of_namespace)
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one", paused=True))
    assert claims(namespace, "RolledOut", "False")[0] == "Paused"
    assert "Suspended" in modelfleet("list", *of_namespace, "--exit-code", code=MOVING)
    modelfleet("resume", "digits", *of_namespace)
    serves(namespace, "digits-v1")


def serves(namespace: str, version: str) -> None:
    stack.wait(
        f"{version} to serve",
        lambda: stack.get("mlmodel", namespace, "digits")["status"].get("stable") == version,
        90,
    )


def test_a_broken_model_ends_a_script(namespace, store):
    stack.apply(model(namespace, f"{store}/none.onnx"))
    claims(namespace, "Stalled", "True", seconds=60)
    of_namespace = ("-n", namespace)
    assert "FetchFailed" in modelfleet("list", *of_namespace, "--exit-code", code=UNHEALTHY)
    tree = modelfleet("status", "digits", *of_namespace, "--exit-code", code=UNHEALTHY)
    assert "404" in tree
    found = modelfleet("doctor", code=UNHEALTHY)
    assert f"kubectl modelfleet status digits -n {namespace}" in found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "nobody"), "not found"),
        (("versions", "nobody"), "not found"),
        (("rollback", "nobody"), "not found"),
        (("pause", "nobody"), "not found"),
        (("logs", "nobody"), "not found"),
        (("diff", "nobody", "1", "2"), "has no version '1'"),
        (("list", "--context", "nowhere"), "no usable kubeconfig"),
    ],
)
def test_a_fault_is_one_line_with_words(namespace, arguments, words):
    text = modelfleet(*arguments, "-n", namespace, code=NO_SUCH)
    assert words in text
    assert len(text.strip().splitlines()) == 1


def test_a_cluster_that_does_not_answer_is_said(tmp_path):
    config = json.loads(stack.kubectl("config", "view", "--raw", "-o", "json"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    text = modelfleet("list", code=NO_SUCH, KUBECONFIG=str(path))
    assert "does not answer" in text
    assert len(text.strip().splitlines()) == 1
