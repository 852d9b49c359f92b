"""Objects of another release: nothing shrinks and nothing breaks for a field that is not known."""

import copy
from dataclasses import replace

import pytest
from pydantic import ValidationError

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.api.tolerant import read, salvage, with_unknown
from modelfleet.core.model.decide import decide
from modelfleet.engine.model.stored import parse_spec, parse_status, read_version_spec
from tests.given import a_model, version_spec

CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "serves",
    "lastTransitionTime": "2026-11-24T12:00:00+00:00",
}
STATUS = {
    "observedGeneration": 3,
    "stable": "digits-v1",
    "replicas": 7,
    "conditions": [CONDITION],
    "scaling": {"want": 7, "granted": 7, "ready": 7, "why": ["7 busy slots"]},
    "route": {"revision": 9, "weights": [{"version": "digits-v1", "weight": 100}]},
}


def with_newer(value, depth: int = 0):
    """The same with an unknown field in every object."""
    if isinstance(value, dict):
        return {**{k: with_newer(v, depth + 1) for k, v in value.items()}, "newer": {"x": depth}}
    if isinstance(value, list):
        return [with_newer(item, depth + 1) for item in value]
    return value


def test_unknown_fields_at_every_level_change_nothing():
    assert salvage(MLModelStatus, with_newer(STATUS)) == salvage(MLModelStatus, STATUS)
    assert salvage(MLModelStatus, STATUS).scaling.granted == 7
    spec = {"model": {"uri": "https://m.example/a.onnx"}, "scaling": {"maxReplicas": 3}}
    assert parse_spec({"spec": with_newer(spec)}) == parse_spec({"spec": spec})
    version = version_spec(1).model_dump(by_alias=True, exclude_none=True, mode="json")
    assert read(MLModelVersionSpec, {**version, "newer": 1}) == read(MLModelVersionSpec, version)


@pytest.mark.parametrize("field", STATUS)
@pytest.mark.parametrize("wrong", [{"x": 1}, -5, "?", [None]])
def test_a_field_that_cannot_be_read_costs_no_other(field, wrong):
    found, whole = (
        parse_status({"status": {**STATUS, field: wrong}}),
        parse_status({"status": STATUS}),
    )
    for other in STATUS:
        name = {"observedGeneration": "observed_generation"}.get(other, other)
        # Without the name of the stable version it has to be found out, as without a status.
        is_lost = other == field or (field == "stable" and other == "observedGeneration")
        assert is_lost or getattr(found, name) == getattr(whole, name)


@pytest.mark.parametrize("status", [None, [], "lost", {}])
def test_no_status_is_an_empty_one(status):
    assert parse_status({"status": status}) == MLModelStatus()


def test_a_wrong_value_in_a_spec_is_still_an_error():
    with pytest.raises(ValidationError):
        read(MLModelSpec, {"model": {"uri": "https://m.example/a.onnx"}, "scaling": {"mode": 5}})
    assert "scaling.mode" in parse_spec({"spec": {"scaling": {"mode": 5}}})[1]


def test_without_a_readable_decision_the_replicas_that_run_are_kept():
    facts = a_model().asking(scaling={"maxReplicas": 20}).serving(10).facts()
    facts = replace(facts, grant=None, status=facts.status.model_copy(update={"scaling": None}))
    plan = decide(facts)
    assert plan.targets["digits-v1"] == 10
    assert plan.scales == ()


def test_a_route_that_was_lost_gets_a_higher_revision_than_any_gateway_has():
    facts = a_model().serving(2).routed(9, v1=100).facts()
    lost = replace(facts, status=facts.status.model_copy(update={"route": None}))
    assert decide(lost).status.route.revision == 10


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("scaling", "why"), [1, "7 busy slots"]),
        (("scaling", "ready"), None),
        (("route", "hold"), "?"),
        (("route", "exposure"), "Newer"),
        (("conditions", 0, "status"), "Newer"),
    ],
)
def test_one_wrong_leaf_costs_no_decision(path, wrong):
    stored = copy.deepcopy(STATUS)
    place = stored
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = wrong
    found = parse_status({"status": stored})
    assert (found.scaling.granted, found.route.revision) == (7, 9)
    assert found.scaling.why == ["7 busy slots"]
    assert found.stable == "digits-v1"


def test_true_is_not_one_replica():
    stored = {**STATUS, "scaling": {**STATUS["scaling"], "granted": True}}
    assert parse_status({"status": stored}).scaling is None


@pytest.mark.parametrize("lost", [{"stable": 5}, {"stable": None}])
def test_without_its_stable_version_a_model_that_serves_has_no_status(lost):
    """Read as "never served", the version that serves would be drained."""
    available = {**CONDITION, "type": "Available"}
    found = parse_status({"status": {**STATUS, "conditions": [available], **lost}})
    assert found.observed_generation == -1
    fresh = {**available, "status": "False"}
    status = {"observedGeneration": 3, "conditions": [fresh]}
    assert parse_status({"status": status}).observed_generation == 3


def test_a_recorded_stable_version_is_stable_without_the_status():
    given = a_model().serving(3)
    version = replace(given.versions["digits-v1"], outcome="Stable")
    given.versions["digits-v1"] = version
    del given.status["stable"]
    plan = decide(given.facts())
    assert plan.status.stable == "digits-v1"
    assert plan.targets["digits-v1"] == 3


def test_a_time_that_is_none_keeps_the_former_version_warm_anew():
    given = a_model().serving(3, number=2).with_version(1, replicas=3)
    given.status.update(retained="digits-v1")
    plan = decide(given.facts())
    assert plan.targets["digits-v1"] == 3
    assert plan.status.retained_until is not None


def test_a_version_of_a_newer_release_goes_on_serving():
    body = version_spec(1).model_dump(by_alias=True, exclude_none=True, mode="json")
    item = {"metadata": {"name": "digits-v4"}, "spec": {**body, "protocol": "HTTP3"}}
    spec, is_buildable = read_version_spec(item)
    assert (spec.port, spec.number, spec.protocol, is_buildable) == (8080, 1, "HTTP1", True)
    item["spec"] |= {"template": None, "number": "?"}
    spec, is_buildable = read_version_spec(item)
    assert (spec.port, spec.number, is_buildable) == (8080, 4, False)


def test_objects_that_cannot_be_built_are_left_as_they_are():
    given = a_model().serving(3)
    version = given.versions["digits-v1"]
    given.versions["digits-v1"] = replace(version, template={}, is_buildable=False)
    plan = decide(given.facts())
    assert (plan.repairs, plan.scales, plan.targets["digits-v1"]) == ((), (), 3)


def test_what_a_newer_release_wrote_is_written_back():
    stored = with_newer({**STATUS, "conditions": [CONDITION, {**CONDITION, "type": "Newer"}]})
    facts = replace(a_model().serving(7).facts(), status=parse_status({"status": stored}))
    status = decide(facts).status
    assert [c.type for c in status.conditions].count("Newer") == 1
    body = status.model_dump(by_alias=True, exclude_none=True, mode="json")
    kept = with_unknown(MLModelStatus, stored, body)
    assert kept["newer"] == {"x": 0}
    assert kept["route"]["newer"] == {"x": 1}
    assert "newer" in kept["route"]["weights"][0]
    assert all("newer" in c for c in kept["conditions"] if c["type"] in {"Ready", "Newer"})
