"""Objects of another release: nothing shrinks and nothing breaks for a field that is not known."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.api.tolerant import read, salvage
from modelfleet.core.model.decide import decide
from modelfleet.engine.model.observe import parse_spec, parse_status
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
