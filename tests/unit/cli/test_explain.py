"""The explanation of a model, from its object."""

from modelfleet.cli.explain import lines


def model(**status: object) -> dict[str, object]:
    return {
        "metadata": {"namespace": "team-a", "name": "digits"},
        "spec": {"scaling": {"minReplicas": 0, "maxReplicas": 4}},
        "status": status,
    }


def test_terms_stand_in_their_order():
    why = ["scaling.maxReplicas 4 (demand is 7)", "8.1 busy slots now, 14.1 forecast in 120 s"]
    scaling = {"want": 4, "granted": 4, "ready": 3, "why": why}
    found = lines(model(stable="digits-v2", scaling=scaling))
    assert found[0] == "team-a/digits, version digits-v2"
    assert "4 granted, 4 wanted, 3 ready" in found[1]
    assert "0 to 4 allowed" in found[1]
    assert found[2].split(None, 1) == ["because", why[0]]
    assert found[3].split(None, 1) == ["and", why[1]]


def test_new_model_has_nothing_decided():
    assert "nothing has been decided yet" in lines(model())[1]


def test_wrong_claims_are_shown():
    claim = {"type": "ScalingActive", "status": "False", "reason": "ExternalReplicas"}
    healthy = {"type": "Degraded", "status": "False", "reason": "Healthy", "message": ""}
    text = "spec.replicas is set to 3 by kubectl; remove it to scale automatically"
    found = lines(model(conditions=[{**claim, "message": text}, healthy]))
    assert any("ExternalReplicas: spec.replicas is set to 3 by kubectl" in line for line in found)
    assert not any("Degraded" in line for line in found)
