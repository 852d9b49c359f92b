"""A strategy with state, parameters, evidence and time: it exists only here."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfleet.catalog import strategies
from modelfleet.catalog.strategies import RolloutFacts, Step
from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.facts.evidence import VersionEvidence
from tests.given import NOW, a_model

STEPS = (10, 50, 100)
LEAST_SECONDS, LEAST_REQUESTS = 60, 100


class Careful:
    """Steps of weight: each lasts a minute and a hundred requests; a failure ends all."""

    name = "Careful"

    def step(self, facts: RolloutFacts) -> Step:
        if facts.stable is None:
            return self._first(facts)
        if not facts.is_known:
            present = facts.weights.get(facts.candidate, 0)
            return self._at(facts, present, dict(facts.state), "Waiting", 0)
        begun = facts.state.get("since")
        index = int(facts.state.get("step", "0"))
        seen = facts.evidence.get(facts.candidate, VersionEvidence())
        if seen.completions.get("5xx", 0):
            return self._at(facts, 0, {"aborted": "true"}, "Aborted", 0)
        if facts.in_effect.get(facts.candidate, 0) == 0:
            return self._at(facts, 0, {}, "Preparing", 0)
        since = facts.now if begun is None else facts.now.fromisoformat(begun)
        lasted = (facts.now - since).total_seconds()
        if begun and lasted >= LEAST_SECONDS and seen.arrivals >= LEAST_REQUESTS * (index + 1):
            index, since, lasted = index + 1, facts.now, 0.0
        if index >= len(STEPS):
            weights = {facts.stable: 0, facts.candidate: 100}
            return Step("Promoting", weights, is_complete=facts.is_confirmed, why="done")
        state = {"step": str(index), "since": since.isoformat()}
        return self._at(facts, STEPS[index], state, "Shifting", LEAST_SECONDS - lasted)

    @staticmethod
    def _first(facts) -> Step:
        is_served = facts.in_effect.get(facts.candidate, 0) > 0 and facts.is_confirmed
        return Step("Starting", {facts.candidate: 100}, is_complete=is_served, why="first")

    @staticmethod
    def _at(facts, weight, state, name, seconds) -> Step:
        weights = {facts.stable: 100 - weight, facts.candidate: weight}
        floors = {facts.stable: facts.needed, facts.candidate: facts.needed}
        return Step(
            name, weights, False, f"{weight} %", floors, state, look_again_seconds=seconds or None
        )


@pytest.fixture
def careful(monkeypatch):
    monkeypatch.setattr(strategies, "STRATEGIES", (*strategies.STRATEGIES, Careful()))


def facts_of(weights: dict[str, int], revision: int, rollout: dict | None = None):
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=2).routed(revision, **weights)
    rollout_spec = given.spec.rollout.model_copy(update={"strategy": "Careful"})
    given.spec = given.spec.model_copy(update={"rollout": rollout_spec})
    given.status["candidate"] = "digits-v2"
    if rollout is not None:
        given.status["rollout"] = rollout
    return given.facts()


def seen(arrivals: int, failed: int = 0) -> dict[str, VersionEvidence]:
    completions = {"2xx": arrivals - failed, "5xx": failed}
    return {"digits-v2": VersionEvidence(arrivals, completions)}


def kept(plan) -> dict:
    return plan.status.rollout.model_dump(by_alias=True, exclude_none=True, mode="json")


def test_a_step_leaves_its_state_in_the_status_and_asks_to_be_looked_at(careful):
    plan = decide(facts_of({"v1": 100, "v2": 0}, 2))
    assert plan.status.rollout.step == "Shifting"
    assert plan.status.rollout.state == {"step": "0", "since": NOW.isoformat()}
    assert {w.version: w.weight for w in plan.status.route.weights} == {
        "digits-v1": 90,
        "digits-v2": 10,
    }
    assert 0 < plan.look_again_seconds <= LEAST_SECONDS


def test_the_next_leader_goes_on_from_the_state_by_time_and_evidence(careful):
    first = decide(facts_of({"v1": 100, "v2": 0}, 2))
    facts = facts_of({"v1": 90, "v2": 10}, 3, kept(first))
    later = replace(facts, now=NOW + timedelta(seconds=61))
    waits = decide(replace(later, evidence=seen(99)))
    assert waits.status.rollout.state["step"] == "0"
    goes_on = decide(replace(later, evidence=seen(100)))
    assert goes_on.status.rollout.state["step"] == "1"
    assert {w.weight for w in goes_on.status.route.weights} == {50}
    assert guard(goes_on, later) == []


def test_evidence_against_the_candidate_takes_its_weight(careful):
    facts = facts_of({"v1": 50, "v2": 50}, 3, kept(decide(facts_of({"v1": 100, "v2": 0}, 2))))
    plan = decide(replace(facts, evidence=seen(50, failed=1)))
    assert {w.version: w.weight for w in plan.status.route.weights} == {
        "digits-v1": 100,
        "digits-v2": 0,
    }
    assert plan.status.rollout.step == "Aborted"


def test_another_candidate_begins_without_state(careful):
    facts = facts_of({"v1": 100, "v2": 0}, 2, kept(decide(facts_of({"v1": 100, "v2": 0}, 2))))
    status = facts.status.model_copy(update={"candidate": "digits-v9"})
    later = replace(facts, status=status, now=NOW + timedelta(seconds=30))
    assert decide(later).status.rollout.state["since"] == later.now.isoformat()


def test_a_first_version_and_a_silent_gateway_are_handled(careful):
    given = a_model().with_version(1, replicas=1)
    given.spec = given.spec.model_copy(
        update={"rollout": given.spec.rollout.model_copy(update={"strategy": "Careful"})}
    )
    source = given.versions["digits-v1"].spec.model_copy(update={"source": source_hash(given.spec)})
    given.versions["digits-v1"] = replace(given.versions["digits-v1"], spec=source)
    given.status.update(candidate="digits-v1", lastVersion=1)
    first = decide(given.facts())
    assert {w.version: w.weight for w in first.status.route.weights} == {"digits-v1": 100}
    facts = facts_of({"v1": 50, "v2": 50}, 3, kept(decide(facts_of({"v1": 100, "v2": 0}, 2))))
    silent = replace(facts.gateways, acknowledged={**facts.gateways.acknowledged, "gw-0": None})
    waits = decide(replace(facts, gateways=silent, evidence=seen(500)))
    assert {w.weight for w in waits.status.route.weights} == {50}


def test_rolling_needs_no_state():
    given = a_model().serving(2).wanting_next(2, replicas=2, ready=1).routed(2, v1=100, v2=0)
    plan = decide(given.facts())
    assert plan.status.rollout.state is None
