"""Scale-down: out of service, acknowledged, finished, then fewer replicas."""

from dataclasses import replace
from datetime import timedelta

from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard
from modelfleet.facts.plan import Plan, Scale
from tests.given import NOW, Given, a_model, pod_of


def after_labels(*fields: dict) -> Given:
    """Three replicas, one wanted; pods 1 and 2 are out of service, with these extra fields."""
    out = [
        pod_of("digits-v1", i, is_in_service=False, drained_at=NOW, **extra)
        for i, extra in zip((1, 2), fields or ({}, {}), strict=True)
    ]
    return a_model().serving(3).granted(1).with_pods(1, pod_of("digits-v1", 0), *out)


def test_first_step_takes_the_newest_out_of_service():
    plan = decide(a_model().serving(3).granted(1).facts())
    assert [(p.name, p.in_service) for p in plan.pods] == [
        ("digits-v1-pod1", False),
        ("digits-v1-pod2", False),
    ]
    assert plan.scales == ()


def test_replicas_shrink_once_gateways_and_requests_are_done():
    plan = decide(after_labels().facts())
    assert [(s.replicas, s.resource_version) for s in plan.scales] == [(1, "7")]


def test_gateway_that_still_sends_is_waited_for():
    given = after_labels()
    facts = given.facts()
    ack = facts.gateways.acknowledged["gw-0"]
    stale = replace(ack, endpoints={"digits-v1": (*ack.endpoints["digits-v1"], "10.0.1.2:8080")})
    facts = replace(
        facts,
        gateways=replace(
            facts.gateways, acknowledged={**facts.gateways.acknowledged, "gw-1": stale}
        ),
    )
    plan = decide(facts)
    assert plan.scales == ()
    assert (
        plan.why
        == "digits-v1 keeps a replica until gateway gw-1 has stopped sending to digits-v1-pod1"
    )
    [cause] = plan.causes
    soon = decide(replace(facts, cause_seconds={cause: 59.0}))
    late = decide(replace(facts, cause_seconds={cause: 60.0}))
    said = [
        next(c for c in each.status.conditions if c.type == "ScalingActive")
        for each in (soon, late)
    ]
    assert [claim.reason for claim in said] == ["Following", "DrainWaits"]
    assert plan.why in said[1].message


def test_request_under_way_is_waited_for_until_the_deadline():
    busy = {"in_flight": 1}
    assert decide(after_labels(busy, {}).facts()).scales == ()
    late = {"in_flight": 1, "drained_at": NOW - timedelta(seconds=61)}
    given = after_labels()
    pods = (
        pod_of("digits-v1", 0),
        *(pod_of("digits-v1", i, is_in_service=False, **late) for i in (1, 2)),
    )
    assert [s.replicas for s in decide(given.with_pods(1, *pods).facts()).scales] == [1]


def test_unknown_in_flight_is_not_zero():
    assert decide(after_labels({"in_flight": None}, {}).facts()).scales == ()


def test_demand_that_returns_puts_the_pods_back():
    plan = decide(after_labels().granted(3).facts())
    assert [(p.name, p.in_service) for p in plan.pods] == [
        ("digits-v1-pod1", True),
        ("digits-v1-pod2", True),
    ]
    assert plan.scales == ()


def test_drained_pod_returns_when_kubernetes_took_another_one():
    drained = pod_of("digits-v1", 1, is_in_service=False)
    given = a_model().serving(1).with_pods(1, drained)
    assert [(p.name, p.in_service) for p in decide(given.facts()).pods] == [
        ("digits-v1-pod1", True)
    ]


def test_nothing_is_relabelled_while_kubernetes_still_ends_pods():
    pods = (pod_of("digits-v1", 0), pod_of("digits-v1", 1, is_in_service=False))
    assert decide(a_model().serving(1).with_pods(1, *pods).facts()).pods == ()


def test_last_replica_stays_while_a_request_is_on_hold():
    given = a_model().asking(scaling={"minReplicas": 0}).serving(1).granted(0)
    given.with_pods(1, pod_of("digits-v1", 0, is_in_service=False, drained_at=NOW))
    given.held = 1
    waiting = decide(given.facts())
    assert (waiting.scales, waiting.why) == (
        (),
        "digits-v1 keeps a replica until no request is on hold",
    )
    given.held = 0
    assert [s.replicas for s in decide(given.facts()).scales] == [0]


def test_pods_that_are_not_ready_leave_first():
    pending = pod_of("digits-v1", 1, is_ready=False, ready_at=None, endpoint=None)
    pods = (pod_of("digits-v1", 0), pending, pod_of("digits-v1", 2))
    plan = decide(a_model().serving(3).granted(2).with_pods(1, *pods).facts())
    assert [p.name for p in plan.pods] == ["digits-v1-pod1"]


def test_guard_refuses_to_shrink_what_gateways_use():
    facts = a_model().serving(3).facts()
    plan = Plan(
        status=facts.status, scales=(Scale("digits-v1", "uid-deploy-digits-v1", "7", 1, ""),)
    )
    assert [b.name for b in guard(plan, facts)] == ["ScaleBeforeDrain"]


def test_longer_time_out_of_the_route_moves_the_deadline():
    late = {"in_flight": 1, "drained_at": NOW - timedelta(seconds=61)}
    given = after_labels()
    pods = (
        pod_of("digits-v1", 0),
        *(pod_of("digits-v1", i, is_in_service=False, **late) for i in (1, 2)),
    )
    traffic = given.spec.traffic.model_copy(update={"request_timeout_seconds": 600})
    given.spec = given.spec.model_copy(update={"traffic": traffic})
    assert decide(given.with_pods(1, *pods).facts()).scales == ()
