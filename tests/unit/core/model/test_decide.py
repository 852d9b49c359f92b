"""decide: one model, one moment, one plan."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfleet.api.conditions import ConditionType
from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard, without_breaches
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.core.model.version.wanted_version import next_number
from modelfleet.facts.model import ChildFacts, Fault, Orphan, ResolveFacts
from modelfleet.facts.plan import Plan, Repair, Scale
from tests.given import DIGEST, NOW, Given, a_model, pod_of


def weights(plan: Plan) -> dict[str, int]:
    route = plan.status.route
    return {w.version.removeprefix("digits-"): w.weight for w in route.weights} if route else {}


def condition(plan: Plan, kind: str) -> tuple[str, str]:
    found = next(c for c in plan.status.conditions if c.type == kind)
    return found.status, found.reason


def created(plan: Plan) -> list[str]:
    return [f"{c.manifest['kind']}/{c.manifest['metadata']['name']}" for c in plan.creates]


def test_new_model_without_digest_first_asks_for_it():
    plan = decide(a_model().facts())
    assert [c for c in created(plan) if c.startswith("Pod/digits-resolve-")]
    assert plan.status.route is None
    assert condition(plan, "Ready") == ("False", "Resolving")


def test_every_condition_is_there_from_the_first_visit():
    plan = decide(a_model().facts())
    assert [c.type for c in plan.status.conditions] == [kind.value for kind in ConditionType]


def test_first_version_gets_the_whole_route_at_once_so_that_requests_are_held():
    plan = decide(_first_version(ready=0).facts())
    assert weights(plan) == {"v1": 100}
    assert condition(plan, "Reconciling")[0] == "True"


def test_first_version_becomes_stable_when_every_gateway_can_use_it():
    plan = decide(_first_version(ready=1).routed(1, v1=100).facts())
    assert plan.status.stable == "digits-v1"
    assert condition(plan, "Ready") == ("True", "Serving")


def _first_version(ready: int) -> Given:
    given = a_model().serving(1)
    given.status.clear()
    return given.with_version(
        1, replicas=1, ready=ready, source=given.versions["digits-v1"].spec.source
    )


def test_settled_model_plans_nothing():
    given = a_model().serving(2)
    first = decide(_settled(given).facts())
    given.status = first.status.model_dump(by_alias=True, exclude_none=True)
    second = decide(_settled(given).facts())
    assert second == Plan(status=second.status, targets=second.targets)
    assert second.status == first.status


def _settled(given: Given) -> Given:
    manifest = next(
        c.manifest
        for c in decide(a_model().serving(1).facts()).creates
        if c.manifest["kind"] == "Service"
    )

    service = ChildFacts("uid-svc", "1", None, manifest)
    for name, version in given.versions.items():
        given.versions[name] = replace(version, outcome="Stable")
    return given.with_facts(service=service)


@pytest.mark.parametrize(
    ("ready", "routed", "expected"),
    [
        (0, {"v1": 100, "v2": 0}, {"v1": 100, "v2": 0}),
        (1, {"v1": 100, "v2": 0}, {"v1": 75, "v2": 25}),
        (3, {"v1": 75, "v2": 25}, {"v1": 25, "v2": 75}),
        (4, {"v1": 25, "v2": 75}, {"v1": 0, "v2": 100}),
    ],
)
def test_weight_follows_ready_capacity(ready, routed, expected):
    given = a_model().serving(4).wanting_next(2, replicas=4, ready=ready).routed(3, **routed)
    assert weights(decide(given.facts())) == expected


def test_promotion_only_after_every_gateway_confirmed():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2)
    waiting = decide(given.routed(4, acknowledged=3, v2=100, v1=0).facts())
    assert (waiting.status.stable, waiting.status.candidate) == ("digits-v1", "digits-v2")
    done = decide(given.routed(4, v2=100, v1=0).facts())
    assert (done.status.stable, done.status.candidate) == ("digits-v2", None)


def test_silent_gateway_stops_the_rollout_and_is_named():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2).routed(4, v2=100, v1=0)
    facts = given.facts()
    silent = {**facts.gateways.acknowledged, "gw-1": None}
    given.gateways = ("gw-0",)
    facts = replace(facts, gateways=replace(facts.gateways, acknowledged=silent))
    plan = decide(facts)
    assert plan.status.stable == "digits-v1"
    assert "gw-1 is silent" in plan.why
    assert condition(plan, "RolledOut") == ("False", "GatewaySilent")
    assert condition(plan, "Reconciling") == ("True", "GatewaySilent")


def test_silent_gateway_is_no_news_of_a_settled_model():
    facts = a_model().serving(2).facts()
    silent = replace(facts.gateways, acknowledged={**facts.gateways.acknowledged, "gw-1": None})
    plan = decide(replace(facts, gateways=silent))
    assert condition(plan, "RolledOut") == ("True", "Complete")
    assert condition(plan, "Reconciling") == ("False", "Settled")


@pytest.mark.parametrize(("seconds", "stalled"), [(5, "False"), (40, "True")])
def test_refused_route_stops_the_rollout_and_is_said(seconds, stalled):
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2).routed(2, v1=100, v2=0)
    facts = given.facts()
    gateways = replace(facts.gateways, rejections={"gw-1": "digits-v2: not valid"})
    lasted = {"RouteRejected:digits-v2": float(seconds)}
    plan = decide(replace(facts, gateways=gateways, cause_seconds=lasted))
    assert weights(plan) == {"v1": 100, "v2": 0}
    assert condition(plan, "RolledOut") == ("False", "RouteRejected")
    assert condition(plan, "Stalled")[0] == stalled
    assert condition(plan, "Degraded") == ("False", "Healthy")


def test_refused_route_of_the_serving_version_is_degraded():
    facts = a_model().serving(2).facts()
    gateways = replace(facts.gateways, rejections={"gw-1": "not valid"})
    plan = decide(replace(facts, gateways=gateways))
    assert condition(plan, "Degraded") == ("True", "RouteRejected")


def test_old_version_that_finishes_its_requests_is_said():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2).routed(4, v2=100, v1=0)
    given.status["stable"] = "digits-v2"
    plan = decide(given.facts())
    assert plan.targets["digits-v1"] == 0
    assert condition(plan, "RolledOut") == ("True", "Draining")


def test_a_version_that_cannot_be_made_is_none():
    given = a_model()
    given.versions.clear()
    plan = decide(given.facts())
    assert condition(plan, "Available") == ("False", "NoVersion")


def test_old_version_is_kept_warm_at_its_size_then_goes():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2).routed(4, v2=100, v1=0)
    promoted = decide(given.facts())
    assert promoted.status.retained == "digits-v1"
    assert promoted.targets == {"digits-v2": 2, "digits-v1": 2}
    given.status = promoted.status.model_dump(by_alias=True, exclude_none=True)
    given.status["retainedUntil"] = NOW.isoformat()
    later = decide(given.routed(4, v2=100, v1=0).facts())
    assert later.targets["digits-v1"] == 0
    assert {p.name for p in later.pods} == {"digits-v1-pod0", "digits-v1-pod1"}


def test_paused_begins_no_rollout_but_scales():
    given = a_model().serving(2).granted(3)
    given.spec = given.spec.model_copy(
        update={"paused": True, "model": given.spec.model.model_copy(update={"version": "x"})}
    )
    plan = decide(given.facts())
    assert not [c for c in created(plan) if c.startswith(("Pod/", "MLModelVersion/"))]
    assert [(s.name, s.replicas) for s in plan.scales] == [("digits-v1", 3)]
    assert condition(plan, "RolledOut") == ("False", "Paused")


def test_newer_spec_supersedes_the_candidate():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=1).routed(3, v1=50, v2=50)
    given.status["candidate"] = "digits-v2"
    given = given.wanting_next(3, replicas=2, ready=0)
    plan = decide(given.facts())
    assert weights(plan) == {"v1": 100, "v2": 0, "v3": 0}
    assert plan.targets["digits-v2"] == 0
    assert not [p for p in plan.pods if p.name.startswith("digits-v2")], "weight first"


def test_unknown_runtime_stalls_and_what_serves_goes_on():
    given = a_model().serving(2)
    given.spec = given.spec.model_copy(
        update={"runtime": given.spec.runtime.model_copy(update={"name": "nope"})}
    )
    plan = decide(given.granted(3).facts())
    assert condition(plan, "Stalled") == ("True", "UnknownRuntime")
    assert condition(plan, "Ready")[0] == "True"
    assert [s.replicas for s in plan.scales] == [3]


def test_broken_candidate_stalls_and_stable_keeps_the_route():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=0).routed(2, v1=100, v2=0)
    broken = pod_of(
        "digits-v2", 0, is_ready=False, ready_at=None, fault=Fault("CrashLoop", "x", True)
    )
    plan = decide(given.with_pods(2, broken).facts())
    assert weights(plan)["v1"] == 100
    assert condition(plan, "Stalled") == ("True", "CrashLoop")
    assert condition(plan, "Ready")[0] == "True"
    assert condition(plan, "Reconciling")[0] == "False"


def test_fault_of_a_stable_replica_is_degraded_not_stalled():
    fault = Fault("ImagePullFailed", "x", is_hopeless=True)
    broken = pod_of("digits-v1", 1, is_ready=False, ready_at=None, fault=fault)
    plan = decide(a_model().serving(2).with_pods(1, pod_of("digits-v1", 0), broken).facts())
    assert condition(plan, "Degraded") == ("True", "ImagePullFailed")
    assert condition(plan, "Stalled")[0] == "False"


@pytest.mark.parametrize(("seconds", "stalled"), [(5.0, "False"), (31.0, "True")])
def test_missing_config_map_stalls_only_after_a_while(seconds, stalled):
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]
    given = a_model().asking(runtime={"env": env})
    given.with_facts(config_maps={("c", "k"): None}, cause_seconds={"ConfigMapMissing:": seconds})
    plan = decide(given.facts())
    assert condition(plan, "Stalled")[0] == stalled
    assert "ConfigMap 'c'" in next(c for c in plan.status.conditions if c.type == "Ready").message


def test_name_taken_is_said_and_nothing_is_touched():
    given = a_model().serving(1).with_facts(taken=frozenset({"Service/digits"}))
    plan = decide(given.facts())
    assert "Service/digits" not in created(plan)
    assert "Service/digits exists and is not owned by this model" in str(plan.status.conditions)


def test_foreign_edit_is_repaired_and_replicas_are_not_in_it():
    given = a_model().serving(1)
    version = given.versions["digits-v1"]
    live = {**version.deployment.live, "spec": {**version.deployment.live["spec"]}}
    live["spec"]["template"] = {"metadata": {"labels": {"a": "changed"}}, "spec": {}}
    given.versions["digits-v1"] = replace(
        version, deployment=replace(version.deployment, live=live, editors=("kubectl-edit",))
    )
    plan = decide(given.facts())
    assert len(plan.repairs) == 1
    assert "kubectl-edit" in plan.repairs[0].why
    assert "replicas" not in plan.repairs[0].manifest["spec"]


def test_deleted_deployment_is_made_again_with_its_replicas():
    given = a_model().serving(3)
    version = given.versions["digits-v1"]
    given.versions["digits-v1"] = replace(version, deployment=None, pods=())
    plan = decide(given.facts())
    made = next(c.manifest for c in plan.creates if c.manifest["kind"] == "Deployment")
    assert made["spec"]["replicas"] == 3


def test_digest_of_the_resolve_pod_goes_into_the_version():

    given = a_model()
    resolved = ResolveFacts("p", "u", source_hash(given.spec), digest=DIGEST)
    plan = decide(given.with_facts(resolve=resolved).facts())
    made = next(c.manifest for c in plan.creates if c.manifest["kind"] == "MLModelVersion")
    assert made["metadata"]["name"] == "digits-v1"
    assert made["spec"]["artifact"]["digest"] == DIGEST
    fetch = made["spec"]["template"]["spec"]["initContainers"][0]["args"]
    assert fetch[fetch.index("--digest") + 1] == DIGEST


def test_numbers_are_never_reused():

    given = a_model().serving(1, number=2)
    given.status["lastVersion"] = 7
    assert next_number(given.facts()) == 8


def test_guard_refuses_weight_on_nothing():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=0).routed(2, v1=100, v2=0)
    facts = given.facts()
    plan = decide(facts)
    bad = given.routed(3, v1=0, v2=100).facts().status.route
    wrong = Plan(status=plan.status.model_copy(update={"route": bad}))
    assert [b.name for b in guard(wrong, facts)] == ["WeightOnNothing"]
    assert guard(plan, facts) == []


def test_only_the_write_that_breaks_an_invariant_is_dropped():
    given = a_model().serving(2)
    facts = given.facts()
    manifest = {"kind": "Deployment", "metadata": {"name": "digits-v1"}}
    plan = Plan(
        status=facts.status,
        repairs=(Repair(manifest, "uid", "changed"),),
        scales=(Scale("digits-v1", "uid", "1", 0, "empty"), Scale("digits-v9", "uid", "1", 3, "")),
    )
    breaches = guard(plan, facts)
    assert {breach.name for breach in breaches} == {"TemplateAndScale", "ScaleBeforeDrain"}
    rest = without_breaches(plan, breaches)
    assert guard(rest, facts) == []
    assert [scale.name for scale in rest.scales] == ["digits-v9"]
    assert rest.repairs == ()


def test_decision_is_written_before_anything_that_follows_from_it():
    given = a_model().serving(3)
    given.grant = 1
    plan = decide(given.facts())
    assert plan.status.scaling.granted == 1
    assert (plan.pods, plan.scales, plan.creates) == ((), (), ())


def test_deleted_stable_version_goes_on_serving_until_its_successor_can():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=0).routed(2, v1=100, v2=0)
    del given.versions["digits-v1"]
    plan = decide(given.facts())
    assert weights(plan) == {"v1": 100, "v2": 0}
    assert plan.status.stable == "digits-v1"


def test_children_of_a_deleted_version_go_once_no_route_names_them():
    given = a_model().serving(1, number=2)
    given.with_facts(orphans=(Orphan("Deployment", "digits-v1", "u"),))
    assert [(d.kind, d.name) for d in decide(given.facts()).deletes] == [
        ("Deployment", "digits-v1")
    ]


def test_children_are_left_alone_while_the_status_still_names_their_version():
    given = a_model().serving(1, number=2)
    del given.versions["digits-v2"]
    given.with_facts(orphans=(Orphan("Deployment", "digits-v2", "u"),))
    given.is_gateway_used = False
    given.status.pop("route")
    facts = given.facts()
    plan = decide(facts)
    assert plan.deletes == ()
    assert guard(plan, facts) == []


def test_pause_in_the_middle_keeps_the_weights():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=1).routed(3, v1=50, v2=50)
    given.status["candidate"] = "digits-v2"
    given.spec = given.spec.model_copy(update={"paused": True})
    assert weights(decide(given.facts())) == {"v1": 50, "v2": 50}


def test_refused_object_is_said_and_the_stable_version_is_scaled_all_the_same():
    fault = Fault("CreateRefused", "Deployment/digits-v2: 422: no", is_hopeless=True)
    given = a_model().serving(1).granted(3).with_facts(refused={"Deployment/digits-v2": fault})
    plan = decide(given.facts())
    assert condition(plan, "Stalled") == ("True", "CreateRefused")
    assert [s.replicas for s in plan.scales] == [3]


def test_pods_that_kubernetes_refuses_are_said():
    given = a_model().serving(1).wanting_next(2, replicas=2, ready=0).routed(2, v1=100, v2=0)
    version = given.versions["digits-v2"]
    child = replace(version.deployment, fault=Fault("PodsRefused", "exceeded quota"))
    given.versions["digits-v2"] = replace(version, deployment=child, pods=())
    given.with_facts(cause_seconds={"PodsRefused:digits-v2": 31.0})
    assert condition(decide(given.facts()), "Stalled") == ("True", "PodsRefused")


def test_old_pod_that_is_not_ready_for_a_moment_is_no_failed_start():
    pod = pod_of("digits-v1", 0, is_ready=False, ready_at=None, unready_since=NOW)
    pod = replace(pod, created_at=NOW - timedelta(days=3))
    plan = decide(a_model().serving(1).with_pods(1, pod).facts())
    assert condition(plan, "Degraded") == ("False", "Healthy")


def test_condition_with_a_reason_of_another_release_is_carried_over():
    given = a_model().serving(1)
    first = decide(given.facts()).status.model_dump(by_alias=True, exclude_none=True)
    first["conditions"][0]["reason"] = "FromTheFuture"
    given.status = first
    plan = decide(given.with_facts(spec=None, spec_error="bad").facts())
    assert condition(plan, "Ready") == ("True", "FromTheFuture")
    assert condition(plan, "Stalled")[0] == "True"
