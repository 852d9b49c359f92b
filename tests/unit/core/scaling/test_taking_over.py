"""Who decides about the replicas: our grant, `spec.replicas`, or nobody."""

from dataclasses import replace

import pytest

from modelfleet.core.model.decide import decide
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import Plan
from modelfleet.facts.scaling import Ask, Grant
from tests.given import a_model

SCALING = {"minReplicas": 1, "maxReplicas": 4}


def facts(mode: str = "Auto", replicas: int | None = None) -> ModelFacts:
    """Two replicas serve; the autoscaler wants three."""
    fields = {"scaling": {**SCALING, "mode": mode}}
    if replicas is not None:
        fields["replicas"] = replicas
    given = a_model().asking(**fields).serving(2).facts()
    return replace(given, ask=Ask(3, 1, 4, ("forecast",)), grant=Grant(3, ("forecast",)))


def claim(plan: Plan) -> tuple[str, str, str]:
    found = next(c for c in plan.status.conditions if c.type == "ScalingActive")
    return found.status, found.reason, found.message


@pytest.mark.parametrize(
    ("mode", "replicas", "granted", "reason"),
    [
        ("Auto", None, 3, "Following"),
        ("Auto", 1, 1, "ExternalReplicas"),
        ("Auto", 9, 9, "ExternalReplicas"),
        ("Auto", 0, 0, "ExternalReplicas"),
        ("Recommend", None, 2, "Recommending"),
        ("Off", None, 2, "SwitchedOff"),
    ],
)
def test_who_decides(mode, replicas, granted, reason):
    plan = decide(facts(mode, replicas))
    assert plan.status.scaling is not None
    assert plan.status.scaling.granted == granted
    assert claim(plan)[1] == reason


def test_writer_is_named_with_the_way_back():
    given = replace(facts(replicas=9), replicas_manager="keda-operator")
    message = claim(decide(given))[2]
    assert message == "spec.replicas is set to 9 by keda-operator; remove it to scale automatically"


def test_recommendation_is_published_without_being_followed():
    plan = decide(facts("Recommend"))
    assert plan.status.scaling is not None
    assert (plan.status.scaling.want, plan.status.scaling.granted) == (3, 2)
    assert not plan.scales


def test_model_at_zero_by_hand_is_no_fault():
    plan = decide(facts(replicas=0))
    ready = next(c for c in plan.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("True", "Idle")
