"""A settled fleet under steady traffic writes nothing, and a restart of the operator neither."""

import os
import time

import pytest

from tests import stack
from tests.e2e.conftest import Load, model, ready
from tests.e2e.restart import restart

pytestmark = pytest.mark.alone

QUIET_SECONDS = float(os.environ.get("MODELFLEET_QUIET_SECONDS", "120"))
SETTLE_SECONDS = 40
FORGETTING_SECONDS = 400
BEGUN_SECONDS = 45
"""For 20 s a leader adds no replica to a model that is served in time; then it may."""
BUSY_SECONDS = 25.0


def test_steady_traffic_and_operator_restarts_write_nothing(namespace, store, load):
    settle(namespace, store, load)
    before = stack.audit_position()
    time.sleep(QUIET_SECONDS)
    steady = [stack.written(w) for w in stack.writes(before)]
    print(f"\n{QUIET_SECONDS:.0f} s at 50/s: {len(steady)} writes")
    assert steady == [], stack.reasons(namespace)
    for processes in (0, 8):
        seconds = BUSY_SECONDS if processes else 0.0
        found = restart(namespace, processes, seconds, BEGUN_SECONDS)
        print(
            f"restart beside {processes} busy processes: {len(found.writes)} writes;"
            f" ready after {found.ready_seconds:.0f} s"
        )
        assert found.writes == [], stack.reasons(namespace)
        assert found.is_same_pods
    total = load.end()["total"]
    assert total["failed"] == 0, total


def settle(namespace: str, store: str, load: Load) -> None:
    """One model with one replica under 50 requests a second, at rest."""
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one"))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(50, 3600)
    time.sleep(SETTLE_SECONDS)
    # A first start on a busy node is slow, which may buy a second replica; it is kept for some
    # minutes by what this leader has seen, and by nothing that the next one can know.
    stack.wait("one replica", lambda: is_settled(namespace), FORGETTING_SECONDS)


def is_settled(namespace: str) -> bool:
    """One replica decided, asked for and there: a second one is drained before it is taken away."""
    granted = stack.get("mlmodel", namespace, "digits")["status"]["scaling"]["granted"]
    asked = stack.get("deployment", namespace, "digits-v1")["spec"]["replicas"]
    return granted == asked == len(stack.items("pods", namespace)) == 1
