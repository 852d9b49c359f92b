"""What was learned outlives the process that learned it: in a file, and in versions' statuses."""

import json
import time
from datetime import UTC, datetime

import pytest

from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.core.forecasting.rows.learned_summary import LearnedSummary
from modelfleet.engine.memory.public_traces import traces
from tests import stack
from tests.e2e import operator_process as operator
from tests.e2e import paced
from tests.e2e.conftest import Load, model, ready

pytestmark = pytest.mark.alone

# `stack.SYSTEM` is touched: the operator's container is ended and its pod deleted.
SECONDS = 0.3
BURST, AFTERWARDS = 16, 5
"""Requests per second: 4.8 busy slots, then 1.5; two fit into a replica."""
STEPS_SECONDS = 12
"""Two steps of the policy and a reading."""
BOUNDS = {"minReplicas": 1, "maxReplicas": 5}


@pytest.fixture
def traffic(folder, namespace):
    running = Load(folder, paced.questions(folder, [SECONDS]), f"digits.{namespace}.localhost")
    running.say(allow={"digits-v1": paced.KIND})
    yield running
    running.kill()


def serve(namespace: str, slots: int) -> None:
    spec = {
        "runtime": paced.runtime(slots=slots),
        "scaling": {**BOUNDS, "concurrencyPerReplica": slots},
        "objective": {"latencyMilliseconds": 1000},
    }
    stack.apply(model(namespace, None, **spec))
    ready(namespace)


def replicas(namespace: str) -> int:
    return stack.get("mlmodel", namespace, "digits")["status"]["replicas"]


def known(namespace: str) -> dict[str, float]:
    """What the process that runs knows of the model soon after its start."""
    stack.wait("the first decision", lambda: operator.terms(namespace).get("service"), 60, 1)
    time.sleep(STEPS_SECONDS)
    return operator.terms(namespace)


def said(what: str, found: dict[str, float], count: int) -> None:
    shown = ", ".join(f"{name} {value:.3g}" for name, value in sorted(found.items()))
    print(f"\n{what}: {count} replicas; {shown}")


@pytest.mark.timeout(600)
def test_restarted_container_goes_on_and_one_without_the_file_begins_anew(namespace, traffic):
    serve(namespace, slots=2)
    traffic.rate(BURST)
    time.sleep(30)
    traffic.rate(AFTERWARDS)
    time.sleep(STEPS_SECONDS)
    before, had = operator.terms(namespace), replicas(namespace)
    said("before", before, had)
    assert had >= 3, "the burst needs 2.4 replicas"
    position = stack.audit_position()
    operator.stop_container()
    after = known(namespace)
    said("the container was ended", after, replicas(namespace))
    assert [one["models"] for one in operator.logged("memory restored")] == [1]
    # It goes on being learned in between; who begins anew finds less than half of it, see below.
    assert after["service"] == pytest.approx(before["service"], rel=0.3)
    assert after["cap"] == pytest.approx(before["cap"], rel=0.1), "the burst is remembered"
    assert after["floor"] == pytest.approx(before["floor"], rel=0.1)
    time.sleep(STEPS_SECONDS)
    assert scalings(position, namespace) == []
    assert replicas(namespace) >= had
    operator.delete_pod()
    fresh = known(namespace)
    said("the pod was deleted, with the file", fresh, replicas(namespace))
    assert operator.logged("no memory yet")
    assert fresh["cap"] < 0.7 * before["cap"], "nobody knows of the burst"
    total = traffic.end()["total"]
    print(f"{total}")
    assert total["failed"] == 0, total


def scalings(position: int, namespace: str) -> list[str]:
    """Writes of the operator since then that could move replicas."""
    return [
        stack.written(event)
        for event in stack.writes(position)
        if event["objectRef"].get("namespace") == namespace
        and event["objectRef"]["resource"] in {"deployments", "mlmodels"}
    ]


TOLD_SECONDS = 2.0


@pytest.mark.timeout(600)
def test_another_leader_without_a_file_begins_with_the_status_of_the_version(namespace, traffic):
    # So many that nothing waits in a replica.
    serve(namespace, slots=8)
    traffic.rate(4)
    time.sleep(STEPS_SECONDS)
    learned = known(namespace)
    said("learned", learned, replicas(namespace))
    assert learned["service"] == pytest.approx(SECONDS, rel=0.3)
    traffic.rate(0)
    # What an hour of traffic would have written: a service time unlike the real one shows who
    # is believed.
    tell(namespace, TOLD_SECONDS)
    operator.delete_pod()
    told = after_some_requests(namespace, traffic)
    said("another leader, told", told, replicas(namespace))
    assert not operator.logged("status.learned ignored")
    assert told["service"] > 3 * SECONDS
    tell(namespace, None)
    operator.delete_pod()
    fresh = after_some_requests(namespace, traffic)
    said("another leader, told nothing", fresh, replicas(namespace))
    assert fresh["service"] == pytest.approx(SECONDS, rel=0.3)
    total = traffic.end()["total"]
    assert total["failed"] == 0, total


def tell(namespace: str, service_seconds: float | None) -> None:
    """Write the version's `status.learned` as the operator does, or take it away."""
    body = None
    if service_seconds is not None:
        service = ModelFigures(5.0, 0.7, 8, service_seconds, 0.05)
        coefficients = Priors(traces(), SHIPPED).of(service)
        lesson = LearnedSummary(service_seconds, 0.009, 0.5, coefficients)
        body = {**lesson.to_status(), "time": datetime.now(UTC).isoformat(timespec="seconds")}
    stack.kubectl(
        *("-n", namespace, "patch", "mlmodelversion", "digits-v1", "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": {"learned": body}})),
    )


def after_some_requests(namespace: str, traffic: Load) -> dict[str, float]:
    """What is known after three answers: of ten seconds of slots that were told, little is lost."""
    seen = len(traffic.answers)
    traffic.say(once=3)
    stack.wait("three answers", lambda: len(traffic.answers) == seen + 3, 60)
    return known(namespace)
