"""What is missing or slow outside the spec: said, waited for, and healed by itself in the end."""

import time

from tests import stack
from tests.e2e.conftest import claims, model, put, ready


def test_missing_config_map_is_said_and_heals(namespace, store):
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "k"}}}]
    stack.apply(model(namespace, f"{store}/digits-1.onnx", runtime={"env": env}))
    assert claims(namespace, "Ready", "False")[0] in {"ConfigMapMissing", "Resolving"}
    reason, message = claims(namespace, "Stalled", "True", seconds=60)
    assert (reason, "ConfigMap 'later'" in message) == ("ConfigMapMissing", True)
    stack.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "data": {"k": "frozen"},
            "metadata": {"name": "later", "namespace": namespace},
        }
    )
    ready(namespace, seconds=90)
    version = stack.get("mlmodelversion", namespace, "digits-v1")
    env = version["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "A", "value": "frozen"} in env


def test_artifact_that_appears_later_heals(namespace, store, artifacts):
    name = f"late-{time.time_ns()}.onnx"
    stack.apply(model(namespace, f"{store}/{name}"))
    assert claims(namespace, "Stalled", "True", seconds=60)[0] == "FetchFailed"
    put(store.split(".")[1], name, artifacts.artifacts["one"])
    ready(namespace, seconds=120)


def test_artifact_that_was_read_half_uploaded_heals(namespace, store, artifacts):
    """Its digest was determined before the rest arrived; no replica ever had these bytes."""
    whole = artifacts.artifacts["one"]
    name = f"half-{time.time_ns()}.onnx"
    put(store.split(".")[1], name, whole[: len(whole) // 2])
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "later", "namespace": namespace},
        "spec": {"hard": {"count/deployments.apps": "0"}},
    }
    stack.apply(quota)
    stack.apply(model(namespace, f"{store}/{name}"))
    assert claims(namespace, "Stalled", "True", seconds=60)[0] == "CreateRefused"
    put(store.split(".")[1], name, whole)
    stack.kubectl("delete", "resourcequota", "-n", namespace, "later")
    found = ready(namespace, seconds=120)
    assert found["status"]["stable"] == "digits-v2"


def test_slow_load_is_not_hopeless(namespace):
    script = (
        "import http.server,time,signal,os;signal.signal(15,lambda *_:os._exit(0));time.sleep(12);"
        "http.server.HTTPServer(('',8080),http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    runtime = {
        "name": "custom",
        "image": "modelfleet/server:dev",
        "command": ["python3", "-c", script],
    }
    stack.apply(model(namespace, None, runtime=runtime))
    seen = set()
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        found = stack.get("mlmodel", namespace, "digits")
        seen.add(stack.condition(found, "Stalled")[0])
        if stack.condition(found, "Ready")[0] == "True":
            break
        time.sleep(1)
    assert stack.condition(found, "Ready")[0] == "True"
    assert "True" not in seen


def test_start_that_takes_too_long_is_said(namespace):
    runtime = {
        "name": "custom",
        "image": "modelfleet/server:dev",
        "startupSeconds": 5,
        "command": ["python3", "-c", "import time; time.sleep(3600)"],
    }
    stack.apply(model(namespace, None, runtime=runtime))
    assert claims(namespace, "Stalled", "True", seconds=60)[0] in {"StartTimeout", "CrashLoop"}
