"""Pods that will never serve again: failed ones are bounded, a hung one is replaced."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.core.model.decide import decide
from modelfleet.facts.model import Fault, PodFacts
from tests.given import NOW, Given, a_model, pod_of

EVICTED = Fault(Reason.POD_FAILED.value, "digits-v1-x failed: low on ephemeral-storage")


def failed(index: int) -> PodFacts:
    made = NOW - timedelta(seconds=100 - index)
    return pod_of(
        "digits-v1",
        index,
        created_at=made,
        is_ready=False,
        ready_at=None,
        is_terminating=True,
        is_failed=True,
        fault=EVICTED,
    )


def unready(index: int, seconds: float, **more: object) -> PodFacts:
    fields = {"has_started": True, "in_flight": 0, **more}
    since = NOW - timedelta(seconds=seconds)
    return pod_of("digits-v1", index, is_ready=False, ready_at=None, unready_since=since, **fields)


def deleted(given: Given) -> list[str]:
    return [d.name for d in decide(given.facts()).deletes if d.kind == "Pod"]


def test_only_the_newest_failed_pod_of_a_version_in_use_stays():
    given = a_model().serving(2)
    pods = given.versions["digits-v1"].pods
    given.with_pods(1, *pods, failed(5), failed(6), failed(7))
    assert deleted(given) == ["digits-v1-pod5", "digits-v1-pod6"]


def test_a_retired_version_goes_although_a_pod_of_it_was_evicted():
    given = a_model().serving(1, number=2).with_version(1, replicas=0)
    assert deleted(given.with_pods(1, failed(1))) == ["digits-v1-pod1"]
    plan = decide(given.with_pods(1).facts())
    assert ("Deployment", "digits-v1") in [(d.kind, d.name) for d in plan.deletes]


def test_pods_of_the_stable_version_that_fail_are_said_with_their_words():
    plan = decide(a_model().serving(1).with_pods(1, failed(1)).facts())
    claims = {c.type: c for c in plan.status.conditions}
    assert (claims["Degraded"].status, claims["Degraded"].reason) == ("True", "PodFailed")
    assert "low on ephemeral-storage" in claims["Degraded"].message
    assert "PodFailed" in [event.reason for event in plan.events]


@pytest.mark.parametrize(("seconds", "stalled"), [(5.0, "False"), (31.0, "True")])
def test_a_new_version_whose_pods_fail_again_and_again_is_stalled(seconds, stalled):
    given = a_model().serving(1).wanting_next(2, replicas=1, ready=0)
    given.with_pods(2, replace(failed(1), name="digits-v2-pod1"))
    lasted = {"PodFailed:digits-v2": seconds}
    plan = decide(given.with_facts(cause_seconds=lasted).facts())
    claims = {c.type: c for c in plan.status.conditions}
    assert (claims["Stalled"].status, claims["RolledOut"].reason) == (stalled, "PodFailed")


def test_a_failed_pod_beside_enough_ready_ones_is_no_obstacle():
    given = a_model().serving(1)
    given.with_pods(1, *given.versions["digits-v1"].pods, failed(7))
    claims = {c.type: c for c in decide(given.facts()).status.conditions}
    assert claims["Degraded"].status == "False"


READY = pod_of("digits-v1", 0)


@pytest.mark.parametrize(
    ("pods", "gone"),
    [
        ([READY, unready(1, 59)], []),
        ([READY, unready(1, 61)], ["digits-v1-pod1"]),
        ([unready(1, 61)], ["digits-v1-pod1"]),
        ([unready(1, 61), unready(2, 90)], ["digits-v1-pod2"]),
        ([unready(1, 61), unready(2, 5, has_started=False)], []),
        ([READY, unready(1, 61, has_started=False)], []),
        ([READY, unready(1, 61, is_terminating=True)], []),
        ([unready(1, 61, is_terminating=True), unready(2, 90)], []),
        ([READY, unready(1, 100, in_flight=1)], []),
        ([READY, unready(1, 100, in_flight=None)], []),
        ([READY, unready(1, 121, in_flight=1)], ["digits-v1-pod1"]),
    ],
    ids=[
        "just unready",
        "hangs",
        "the only one",
        "the longest first",
        "one at a time",
        "still starts",
        "leaves already",
        "the last one is ending",
        "works on a request",
        "a gateway is silent",
        "works on it for too long",
    ],
)
def test_a_hung_replica_is_replaced(pods, gone):
    given = a_model().serving(len(pods)).with_pods(1, *pods)
    assert deleted(given) == gone
    events = [d.event for d in decide(given.facts()).deletes]
    assert events == ["Replaced"] * len(gone)


def test_the_next_one_waits_until_the_replacement_is_there():
    given = a_model().serving(3).with_pods(1, unready(1, 90), unready(2, 80))
    assert deleted(given) == []


def test_without_gateways_a_hung_replica_is_replaced_too():
    given = a_model().serving(2).with_pods(1, READY, unready(1, 61, in_flight=None))
    given.is_gateway_used = False
    assert deleted(given) == ["digits-v1-pod1"]


def test_it_is_looked_at_in_time():
    given = a_model().serving(2).with_pods(1, READY, unready(1, 30))
    assert 0 < decide(replace(given.facts())).look_again_seconds <= 30


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "StartTimeout"),
        ({"is_fetching": True}, "RollingOut"),
        ({"fetched_at": NOW - timedelta(seconds=599)}, "RollingOut"),
        ({"fetched_at": NOW - timedelta(seconds=601)}, "StartTimeout"),
    ],
    ids=["starts", "fetches", "has just fetched", "fetched long ago"],
)
def test_a_slow_fetch_is_no_failed_start(fields, reason):
    given = a_model().serving(1).wanting_next(2, replicas=1, ready=0)
    pod = replace(unready(1, 700, has_started=False, **fields), name="digits-v2-pod1")
    pod = replace(pod, created_at=NOW - timedelta(seconds=700))
    plan = decide(given.with_pods(2, pod).facts())
    assert {c.type: c.reason for c in plan.status.conditions}["RolledOut"] == reason
