"""The explanation of a model, from its object."""

import sys
from datetime import UTC, datetime

import pytest
import yaml

from modelfleet.cli.verbs import explain

NOON, NIGHT = datetime(2026, 3, 2, 12, tzinfo=UTC), datetime(2026, 3, 2, 3, tzinfo=UTC)
WORK = {"name": "work", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 2}


def lines(found: dict[str, object], now: datetime = NIGHT) -> list[str]:
    return explain.lines(found, now)


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


def test_versions_beside_the_stable_one_are_shown():
    rollout = {"step": "Shifting", "why": "1 of 2 replicas of digits-v2 can serve"}
    scaling = {"want": 2, "granted": 2, "ready": 2}
    until = "2026-03-02T03:05:00+00:00"
    found = lines(
        model(
            scaling=scaling,
            candidate="digits-v2",
            rollout=rollout,
            retained="digits-v0",
            retainedUntil=until,
        )
    )
    assert "  rollout  digits-v2: Shifting, 1 of 2 replicas of digits-v2 can serve" in found
    assert f"  warm     digits-v0 keeps its replicas until {until}" in found


def test_new_model_has_nothing_decided():
    assert "nothing has been decided yet" in lines(model())[1]


def test_wrong_claims_are_shown():
    claim = {"type": "ScalingActive", "status": "False", "reason": "ExternalReplicas"}
    healthy = {"type": "Degraded", "status": "False", "reason": "Healthy", "message": ""}
    text = "spec.replicas is set to 3 by kubectl; remove it to scale automatically"
    found = lines(model(conditions=[{**claim, "message": text}, healthy]))
    assert any("ExternalReplicas: spec.replicas is set to 3 by kubectl" in line for line in found)
    assert not any("Degraded" in line for line in found)


def test_bounds_are_those_of_the_open_schedule():
    found = model(scaling={"want": 2, "granted": 2, "ready": 2})
    found["spec"] = {"scaling": {"minReplicas": 0, "maxReplicas": 4, "schedules": [WORK]}}
    assert "2 to 4 allowed (schedule 'work': minReplicas)" in lines(found, NOON)[1]
    assert lines(found, NIGHT)[1].endswith("0 to 4 allowed")


def test_fields_of_a_newer_operator_do_not_stop_the_explanation():
    found = model(scaling={"want": 2, "granted": 2, "ready": 2})
    found["spec"] = {"scaling": {"minReplicas": 1, "pace": "slow"}}
    assert lines(found)[1].endswith("1 to 10 by the spec")


def test_server_that_is_away_is_said_in_one_line(tmp_path, monkeypatch, capsys):
    named = {"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    config = {"clusters": [named], "contexts": [context], "users": [{"name": "x", "user": {}}]}
    (tmp_path / "config").write_text(yaml.safe_dump({**config, "current-context": "x"}))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION",
                        str(tmp_path / "config"))  # fmt: skip
    assert explain.explain(["digits"]) == 1
    told = capsys.readouterr().err
    assert "the API server http://127.0.0.1:1 does not answer" in told
    assert "--context" in told
    assert told.count("\n") == 1


def test_missing_client_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert explain.explain(["digits"]) == 1
    told = capsys.readouterr().err
    assert "install 'modelfleet[cli]'" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("claim", "is_shown"),
    [
        (("RolledOut", "True", "Complete"), False),
        (("RolledOut", "True", "Draining"), True),
        (("RolledOut", "False", "RollingOut"), True),
        (("Stalled", "True", "PlanRefused"), True),
        (("Stalled", "False", "Healthy"), False),
        (("Degraded", "False", "Healthy"), False),
    ],
)
def test_what_keeps_a_replica_or_a_version_is_shown(claim, is_shown):
    kind, status, reason = claim
    condition = {"type": kind, "status": status, "reason": reason, "message": "because"}
    found = "\n".join(lines(model(conditions=[condition])))
    assert (f"{reason}: because" in found) is is_shown
