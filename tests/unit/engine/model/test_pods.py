"""What is wrong with a pod, in one word."""

import pytest

from modelfleet.engine.model.pods import pod_facts, reported
from modelfleet.facts.model import Fault


def pod(*statuses: dict, conditions: list | None = None, **meta: object) -> dict:
    return {
        "metadata": {
            "name": "p",
            "uid": "u",
            "creationTimestamp": "2026-11-24T12:00:00Z",
            "labels": {"modelfleet.dev/in-service": "true"},
            **meta,
        },
        "status": {"containerStatuses": list(statuses), "conditions": conditions or []},
    }


def waiting(reason: str, restarts: int = 0, last: dict | None = None) -> dict:
    return {
        "name": "server",
        "image": "x",
        "restartCount": restarts,
        "state": {"waiting": {"reason": reason}},
        "lastState": {"terminated": last} if last else {},
    }


ENDED = {"exitCode": 1, "message": "boom"}
TOLD = {"exitCode": 1, "message": '{"reason": "NotAModel", "message": "no", "final": true}'}


@pytest.mark.parametrize(
    ("status", "reason", "is_hopeless"),
    [
        (waiting("ContainerCreating"), None, None),
        (waiting("ErrImagePull"), "ImagePullFailed", False),
        (waiting("ImagePullBackOff"), "ImagePullFailed", True),
        (waiting("CreateContainerConfigError"), "ContainerFailed", False),
        (waiting("CrashLoopBackOff", 0, ENDED), None, None),
        (waiting("CrashLoopBackOff", 1, ENDED), "CrashLoop", True),
        (waiting("CrashLoopBackOff", 0, TOLD), "NotAModel", True),
    ],
)
def test_fault(status, reason, is_hopeless):
    fault = pod_facts(pod(status), 8080, None).fault
    assert (fault and fault.reason, fault and fault.is_hopeless) == (reason, is_hopeless)


def test_running_again_after_two_crashes_is_still_a_crash_loop():
    status = {
        "name": "server",
        "restartCount": 2,
        "state": {"running": {}},
        "lastState": {"terminated": ENDED},
    }
    fault = pod_facts(pod(status), 8080, None).fault
    assert isinstance(fault, Fault)
    assert "boom" in fault.message


def test_ready_pod_has_no_fault_whatever_it_did_before():
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T12:00:05Z"}
    facts = pod_facts(pod(waiting("CrashLoopBackOff", 3, ENDED), conditions=[ready]), 1, 0)
    assert (facts.fault, facts.is_ready) == (None, True)


def test_unschedulable_says_why():
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes: Insufficient nvidia.com/gpu",
    }
    fault = pod_facts(pod(conditions=[condition]), 1, None).fault
    assert fault is not None
    assert (fault.reason, "nvidia.com/gpu" in fault.message) == ("Unschedulable", True)


@pytest.mark.parametrize("text", [None, "", "no json", "[1]", '{"reason": 1}'])
def test_words_that_are_not_ours_are_not_read(text):
    assert reported(text) is None


@pytest.mark.parametrize(
    ("state", "is_fetching", "fetched"),
    [
        ({"running": {"startedAt": "2026-11-24T12:00:01Z"}}, True, None),
        ({"terminated": {"exitCode": 0, "finishedAt": "2026-11-24T12:20:00Z"}}, False, 20),
        ({"terminated": {"exitCode": 1, "finishedAt": "2026-11-24T12:20:00Z"}}, False, None),
        ({"waiting": {"reason": "PodInitializing"}}, False, None),
    ],
)
def test_fetching_is_not_starting(state, is_fetching, fetched):
    item = pod(waiting("PodInitializing"))
    item["status"]["initContainerStatuses"] = [{"name": "fetch", "state": state}]
    facts = pod_facts(item, 8080, None)
    minutes = facts.fetched_at.minute if facts.fetched_at else None
    assert (facts.is_fetching, minutes) == (is_fetching, fetched)


@pytest.mark.parametrize(
    ("statuses", "has_started"),
    [
        ([], False),
        ([{"name": "s", "started": True, "state": {"running": {}}}], True),
        ([{"name": "s", "started": False, "state": {"running": {}}}], False),
        ([{"name": "s", "started": True, "state": {"waiting": {}}}], False),
    ],
)
def test_a_pod_has_started_once_all_its_containers_have(statuses, has_started):
    assert pod_facts(pod(*statuses), 8080, None).has_started is has_started


def test_an_evicted_pod_has_failed_with_the_words_of_kubernetes():
    item = pod()
    item["status"] |= {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
    facts = pod_facts(item, 8080, None)
    assert facts.is_failed
    assert (facts.fault.reason, facts.fault.message) == ("PodFailed", "p failed: low on memory")
    item["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    assert not pod_facts(item, 8080, None).is_failed
