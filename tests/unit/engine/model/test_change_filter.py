"""Changes that decide nothing are not noticed; every other one is."""

import copy

import pytest

from modelfleet.engine.model import change_filter

DEPLOYMENT = {
    "metadata": {"labels": {"a": "b"}, "annotations": {}, "uid": "u"},
    "spec": {"replicas": 1},
    "status": {"replicas": 1},
}
POD = {
    "metadata": {
        "name": "p",
        "uid": "u",
        "creationTimestamp": "2026-11-24T12:00:00Z",
        "labels": {"modelfleet.dev/in-service": "yes"},
    },
    "status": {"phase": "Pending"},
}


def changed(item: dict, path: str, value: object) -> dict:
    made = copy.deepcopy(item)
    *parents, last = path.split("/")
    at = made
    for part in parents:
        at = at.setdefault(part, {})
    at[last] = value
    return made


FAILURE = [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]


@pytest.mark.parametrize(
    ("path", "value", "is_noticed"),
    [
        ("status/readyReplicas", 1, False),
        ("metadata/resourceVersion", "7", False),
        ("metadata/annotations", {"deployment.kubernetes.io/revision": "1"}, False),
        ("metadata/annotations", {"foreign": "hand"}, True),
        ("metadata/labels", {}, True),
        ("metadata/deletionTimestamp", "now", True),
        ("spec/replicas", 4, True),
        ("status/conditions", FAILURE, True),
    ],
)
def test_child(path, value, is_noticed):
    now = changed(DEPLOYMENT, path, value)
    assert (change_filter.of_child(now) != change_filter.of_child(DEPLOYMENT)) is is_noticed


READY = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T12:00:05Z"}]
SCHEDULED = [{"type": "PodScheduled", "status": "True"}]
HOMELESS = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]


@pytest.mark.parametrize(
    ("path", "value", "is_noticed"),
    [
        ("spec/nodeName", "node-1", False),
        ("status/conditions", SCHEDULED, False),
        ("status/hostIP", "10.0.0.9", False),
        ("status/conditions", HOMELESS, True),
        ("status/conditions", READY, True),
        ("status/podIP", "10.0.0.1", True),
        ("status/phase", "Failed", True),
        ("metadata/labels", {"modelfleet.dev/in-service": "no"}, True),
        ("metadata/annotations", {"controller.kubernetes.io/pod-deletion-cost": "-1000"}, True),
        ("metadata/deletionTimestamp", "now", True),
        ("metadata/ownerReferences", [{"kind": "ReplicaSet"}], True),
    ],
)
def test_pod(path, value, is_noticed):
    assert (
        change_filter.of_pod(changed(POD, path, value)) != change_filter.of_pod(POD)
    ) is is_noticed


def test_words_of_a_pod_that_resolves_are_noticed():
    pod = changed(POD, "metadata/labels", {"modelfleet.dev/role": "resolve"})
    ended = {"terminated": {"message": '{"reason":"Resolved","digest":"sha256:1"}'}}
    statuses = [{"name": "resolve", "state": ended}]
    done = changed(changed(pod, "status/phase", "Succeeded"), "status/containerStatuses", statuses)
    assert change_filter.of_pod(done) != change_filter.of_pod(pod)
