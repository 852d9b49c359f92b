"""What the status says of a rollout, and the replicas that a step asks for."""

from dataclasses import replace

import pytest

from modelfleet.catalog.strategies import Step
from modelfleet.core.model.decide import decide
from modelfleet.core.model.replica_targets import replica_targets
from modelfleet.core.model.roles import Roles
from tests.given import a_model, pod_of


def test_pause_keeps_the_state_of_the_strategy():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=1).routed(3, v1=50, v2=50)
    given.status["candidate"] = "digits-v2"
    rollout = {
        "strategy": "Rolling",
        "step": "Shifting",
        "why": "1 of 2",
        "startTime": "2026-11-24T11:00:00+00:00",
        "state": {"step": "3"},
    }
    given.status["rollout"] = rollout
    given.spec = given.spec.model_copy(update={"paused": True})
    kept = decide(given.facts()).status.rollout
    assert kept.model_dump(by_alias=True, mode="json", exclude_none=True) == {
        **rollout,
        "why": "spec.paused is true",
    }


def test_refused_route_is_what_the_rollout_waits_for():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2).routed(2, v1=100, v2=0)
    facts = given.facts()
    gateways = replace(facts.gateways, rejections={"gw-1": "digits-v2: not valid"})
    plan = decide(replace(facts, gateways=gateways))
    assert plan.status.rollout.why.startswith("gateway gw-1 refuses the route")


def test_a_pod_that_does_not_end_is_still_named():
    given = a_model().serving(1, number=2).with_version(1, replicas=0)
    stuck = pod_of("digits-v1", 0, is_terminating=True)
    plan = decide(given.with_pods(1, stuck).facts())
    [claim] = [c for c in plan.status.conditions if c.type == "RolledOut"]
    assert (claim.status, claim.reason) == ("True", "Draining")


@pytest.mark.parametrize(
    ("floors", "targets"),
    [
        ({}, {"digits-v1": 4, "digits-v2": 4}),
        ({"digits-v2": 1}, {"digits-v1": 4, "digits-v2": 1}),
        ({"digits-v2": 0}, {"digits-v1": 4, "digits-v2": 1}),
        ({"digits-v1": 2, "digits-v2": 6}, {"digits-v1": 4, "digits-v2": 6}),
        ({"digits-v1": 5}, {"digits-v1": 5, "digits-v2": 4}),
    ],
)
def test_floors_of_a_step(floors, targets):
    facts = a_model().serving(4).wanting_next(2, replicas=4, ready=4).facts()
    roles = Roles(facts.version("digits-v1"), facts.version("digits-v2"), ())
    step = Step("Shifting", {}, is_complete=False, why="", floors=floors)
    assert replica_targets(roles, step, 4, None) == targets
