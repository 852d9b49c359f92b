"""What the status promises of a model without replicas is what happens."""

from dataclasses import replace

import pytest

from modelfleet.core.model.decide import decide
from tests.given import a_model


@pytest.mark.parametrize(
    ("startup", "scaling", "reason"),
    [
        (72.0, {"minReplicas": 0}, "HoldTooShort"),
        (50.0, {"minReplicas": 0}, "Healthy"),
        (72.0, {"minReplicas": 0, "hold": {"maxSeconds": 80}}, "Healthy"),
        (72.0, {"minReplicas": 1}, "Healthy"),
        (None, {"minReplicas": 0}, "Healthy"),
    ],
)
def test_a_hold_that_is_shorter_than_a_start_is_said(startup, scaling, reason):
    facts = a_model().asking(scaling=scaling).serving(1).facts()
    [version] = facts.versions
    plan = decide(replace(facts, versions=(replace(version, startup_seconds=startup),)))
    assert [c.reason for c in plan.status.conditions if c.type == "Degraded"] == [reason]
    if reason == "HoldTooShort":
        text = next(c.message for c in plan.status.conditions if c.type == "Degraded")
        assert "about 80 s to start" in text
        assert "scaling.hold.maxSeconds is 50" in text


def test_replicas_set_to_zero_by_somebody_are_woken_by_nothing():
    facts = a_model().asking(replicas=0).serving(1).facts()
    plan = decide(replace(facts, replicas_manager="kubectl"))
    ready = next(c for c in plan.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("True", "Idle")
    assert "spec.replicas is set to 0 by kubectl: requests get 503" in ready.message
    assert decide(facts).status.route.hold.max_seconds == 1
