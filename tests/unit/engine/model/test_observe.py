"""Which gateways count, what a resolve pod says, whose children are ours."""

from datetime import UTC, datetime, timedelta

import pytest

from modelfleet.engine.model.gateway_pods import is_followed, may_get_traffic
from modelfleet.engine.model.observe import (
    child,
    resolve_facts,
)
from modelfleet.engine.model.stored import parse_spec, parse_status

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DRAIN = 60.0


def gateway(ready: str, seconds: float, *, started: bool = True, phase: str = "Running") -> dict:
    since = (NOW - timedelta(seconds=seconds)).isoformat()
    return {
        "metadata": {"name": "gw"},
        "status": {
            "phase": phase,
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}],
            "containerStatuses": [{"name": "agent", "started": started}],
        },
    }


@pytest.mark.parametrize(
    ("pod", "traffic", "followed"),
    [
        (gateway("True", 9999), True, True),
        (gateway("False", 5), True, True),
        (gateway("False", 61), False, False),
        (gateway("False", 5, started=False), False, True),
        (gateway("True", 5, phase="Failed"), False, False),
    ],
    ids=["ready", "just-left", "long-out", "never-ready", "failed"],
)
def test_gateways_that_count(pod, traffic, followed):
    assert may_get_traffic(pod, NOW, DRAIN) is traffic
    assert is_followed(pod, NOW, DRAIN) is followed


@pytest.mark.parametrize(
    ("seconds", "connected", "traffic"),
    [(3000, True, True), (3000, False, False), (30, False, True)],
    ids=["drains", "hangs", "just-left"],
)
def test_a_gateway_that_drains_long_requests_counts(seconds, connected, traffic):
    pod = gateway("False", seconds)
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T11:10:00Z"
    assert may_get_traffic(pod, NOW, DRAIN, is_connected=connected) is traffic
    assert is_followed(pod, NOW, DRAIN, is_connected=connected) is traffic


def resolve_pod(phase: str, state: dict, **status: object) -> dict:
    return {
        "metadata": {
            "name": "r",
            "uid": "u",
            "creationTimestamp": "2026-11-24T11:00:00Z",
            "annotations": {"modelfleet.dev/source": "s1-0"},
        },
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": "resolve", "restartCount": 0, **state}] if state else [],
            **status,
        },
    }


def ended(message: str, code: int = 0) -> dict:
    return {"exitCode": code, "message": message, "finishedAt": "2026-11-24T11:00:05Z"}


def test_digest_is_read_from_the_last_words():
    words = '{"reason": "Resolved", "digest": "sha256:1"}'
    facts = resolve_facts(resolve_pod("Succeeded", {"state": {"terminated": ended(words)}}))
    assert (facts.digest, facts.fault) == ("sha256:1", None)


def test_fault_of_the_last_attempt_stays_while_the_next_one_waits():
    words = '{"reason": "FetchFailed", "message": "404", "final": true}'
    state = {
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended(words, 1)},
    }
    facts = resolve_facts(resolve_pod("Running", state))
    assert facts.fault is not None
    assert (facts.fault.reason, facts.fault.is_hopeless) == ("FetchFailed", True)
    assert facts.finished_at is not None


def test_pod_that_its_node_refused_is_over():
    pod = resolve_pod("Failed", {}, reason="OutOfcpu", message="no cpu")
    facts = resolve_facts(pod)
    assert facts.finished_at is not None
    assert facts.fault is not None
    assert "no cpu" in facts.fault.message


def test_success_without_words_is_a_fault_and_not_a_digest():
    facts = resolve_facts(resolve_pod("Succeeded", {"state": {"terminated": ended("")}}))
    assert facts.digest is None
    assert facts.fault is not None


def test_child_of_somebody_else_is_not_ours():
    item = {"metadata": {"uid": "c", "resourceVersion": "1", "ownerReferences": [{"uid": "x"}]}}
    assert child(item, "mine") is None
    assert child(item, "x") is not None


def test_quota_that_forbids_pods_is_a_fault_of_the_deployment():
    item = {
        "metadata": {"uid": "c", "resourceVersion": "1", "ownerReferences": [{"uid": "x"}]},
        "status": {
            "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]
        },
    }
    found = child(item, "x")
    assert found is not None
    assert found.fault is not None
    assert found.fault.reason == "PodsRefused"


def test_spec_of_another_release_names_the_field():
    spec, error = parse_spec({"spec": {"scaling": {"minReplicas": "many"}}})
    assert spec is None
    assert error is not None
    assert error.startswith("spec.scaling.minReplicas")


def test_status_that_cannot_be_read_counts_as_lost():
    assert parse_status({"status": {"conditions": "gone"}}).observed_generation == -1
