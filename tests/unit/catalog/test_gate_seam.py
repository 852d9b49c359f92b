"""A gate that needs a hundred answers and few failures: it exists only here."""

from dataclasses import replace

import pytest

from modelfleet.catalog import gates
from modelfleet.catalog.gates import Verdict
from modelfleet.catalog.strategies import RolloutFacts
from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard
from modelfleet.facts.evidence import VersionEvidence
from tests.given import a_model

NEEDED = 100


class FewFailures:
    """At most one failure in a hundred answers of the candidate, after a hundred of them."""

    name = "FewFailures"

    def judge(self, facts: RolloutFacts) -> Verdict | None:
        seen = facts.evidence.get(facts.candidate, VersionEvidence())
        failed, answers = seen.completions.get("5xx", 0), sum(seen.completions.values())
        if failed > answers / 100 and failed > 1:
            return Verdict("Fail", f"{failed} of {answers} answers failed")
        if answers < NEEDED:
            return Verdict("Inconclusive", f"needs {NEEDED - answers} more answers", 5.0)
        return Verdict("Pass", f"{failed} of {answers} answers failed")


@pytest.fixture(autouse=True)
def _gates(monkeypatch):
    monkeypatch.setattr(gates, "GATES", (FewFailures(),))


def planned(ready: int, answers: int = 0, failed: int = 0, **weights: int):
    """The plan of a rollout to v2 with so many ready replicas of 4."""
    given = a_model().serving(4).wanting_next(2, replicas=4, ready=ready).routed(2, **weights)
    given.status["candidate"] = "digits-v2"
    completions = {"2xx": answers - failed, "5xx": failed}
    evidence = {"digits-v2": VersionEvidence(answers, completions)}
    facts = replace(given.facts(), evidence=evidence)
    plan = decide(facts)
    assert guard(plan, facts) == []
    return plan


def weights_of(plan) -> dict[str, int]:
    return {share.version: share.weight for share in plan.status.route.weights}


def test_without_evidence_the_weight_does_not_rise():
    plan = planned(2, answers=60, v1=75, v2=25)
    assert weights_of(plan) == {"digits-v1": 75, "digits-v2": 25}
    assert plan.status.rollout.why == "gate FewFailures: needs 40 more answers"
    assert 0 < plan.look_again_seconds <= 5.0


def test_after_a_pass_the_strategy_goes_on():
    plan = planned(2, answers=100, v1=75, v2=25)
    assert weights_of(plan) == {"digits-v1": 50, "digits-v2": 50}


def test_a_failure_takes_the_weight_of_the_candidate():
    plan = planned(2, answers=50, failed=2, v1=75, v2=25)
    assert weights_of(plan) == {"digits-v1": 100, "digits-v2": 0}
    assert plan.status.rollout.step == "Rejected"
    assert "2 of 50 answers failed" in plan.status.rollout.why
    assert plan.status.stable == "digits-v1"


@pytest.mark.parametrize(("answers", "stable"), [(99, "digits-v1"), (100, "digits-v2")])
def test_no_promotion_without_a_pass(answers, stable):
    assert planned(4, answers=answers, v1=0, v2=100).status.stable == stable


def test_a_gate_that_the_spec_does_not_ask_for_holds_nothing(monkeypatch):
    monkeypatch.setattr(FewFailures, "judge", lambda *_: None)
    assert weights_of(planned(2, v1=75, v2=25)) == {"digits-v1": 50, "digits-v2": 50}


def test_the_first_version_has_no_gate():
    given = a_model().with_version(1, replicas=1)
    given.status.update(candidate="digits-v1", lastVersion=1)
    plan = decide(given.routed(1, v1=100).facts())
    assert plan.status.rollout is None or "gate" not in plan.status.rollout.why
