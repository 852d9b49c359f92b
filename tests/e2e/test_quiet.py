"""A settled fleet under steady traffic writes nothing, and a restart of the operator neither."""

import os
import time

import pytest

from tests import stack
from tests.e2e.conftest import model, ready

pytestmark = pytest.mark.alone

QUIET_SECONDS = float(os.environ.get("MODELFLEET_QUIET_SECONDS", "120"))
SETTLE_SECONDS = 40
FORGETTING_SECONDS = 400
BEGUN_SECONDS = 45
"""For 20 s a leader adds no replica to a model that is served in time; then it may."""


def test_steady_traffic_and_operator_restart_write_nothing(namespace, store, load):
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one"))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(50)
    time.sleep(SETTLE_SECONDS)
    # A first start on a busy node is slow, which may buy a second replica; it is kept for some
    # minutes by what this leader has seen, and by nothing that the next one can know.
    stack.wait("one replica", lambda: is_settled(namespace), FORGETTING_SECONDS)
    pods = {p["metadata"]["uid"] for p in stack.items("pods", namespace)}
    before = stack.audit_position()
    time.sleep(QUIET_SECONDS)
    steady = [stack.written(w) for w in stack.writes(before)]
    before = stack.audit_position()
    stack.kubectl(
        "-n",
        stack.SYSTEM,
        "delete",
        "pod",
        "-l",
        "app.kubernetes.io/name=modelfleet-operator",
        "--grace-period=0",
        "--force",
    )
    stack.kubectl("-n", stack.SYSTEM, "rollout", "status", "deployment/modelfleet-operator")
    time.sleep(BEGUN_SECONDS)
    restart = [stack.written(w) for w in stack.writes(before)]
    total = load.end()["total"]
    print(f"\n{QUIET_SECONDS:.0f} s at 50/s: {len(steady)} writes; restart: {len(restart)} writes")
    assert steady == [], stack.reasons(namespace)
    assert restart == [], stack.reasons(namespace)
    assert {p["metadata"]["uid"] for p in stack.items("pods", namespace)} == pods
    assert total["failed"] == 0, total


def is_settled(namespace: str) -> bool:
    """One replica decided, asked for and there: a second one is drained before it is taken away."""
    granted = stack.get("mlmodel", namespace, "digits")["status"]["scaling"]["granted"]
    asked = stack.get("deployment", namespace, "digits-v1")["spec"]["replicas"]
    return granted == asked == len(stack.items("pods", namespace)) == 1
