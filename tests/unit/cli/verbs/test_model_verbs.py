"""Verbs that show and steer models: what is printed, and which version is meant."""

import copy
import io
from datetime import datetime

import pytest
import yaml
from rich.console import Console

from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.model_state import age, state_of
from modelfleet.cli.support.output import code_of
from modelfleet.cli.verbs.list_models import table_of
from modelfleet.cli.verbs.show_status import tree_of
from modelfleet.cli.verbs.show_versions import differences, rows, version_name
from modelfleet.cli.verbs.steer import before

NOW = 1_790_000_000.0
MODEL = yaml.safe_load("""
metadata:
  {name: digits, namespace: team-a, generation: 3, creationTimestamp: "2026-09-21T13:00:00Z"}
spec: {model: {uri: https://models.example/digits.onnx}}
status:
  observedGeneration: 3
  stable: digits-v2
  candidate: digits-v3
  replicas: 2
  url: http://digits.team-a/
  route:
    revision: 7
    confirmed: 7
    weights: [{version: digits-v2, weight: 75}, {version: digits-v3, weight: 25}]
  scaling: {want: 3, granted: 2, ready: 2, why: ["8.1 busy slots now"]}
  conditions:
  - {type: Ready, status: "True", reason: Serving, message: digits-v2 serves}
  - {type: Available, status: "True", reason: Serving, message: requests are answered}
  - {type: Reconciling, status: "True", reason: RollingOut, message: waits for digits-v3}
  - {type: Stalled, status: "False", reason: Healthy, message: ""}
  - {type: RolledOut, status: "False", reason: RollingOut, message: waits for digits-v3}
  - {type: ScalingActive, status: "False", reason: Recommending, message: see status.scaling.want}
  - {type: Degraded, status: "False", reason: Healthy, message: ""}
""")


def version(number: int, outcome: str | None, **spec: object) -> dict:
    body = {
        "model": "digits",
        "number": number,
        "shape": f"s1-{number:016x}",
        "artifact": {"uri": f"https://models.example/digits-{number}.onnx", "digest": "sha256:abc"},
        "template": {"metadata": {"labels": {"modelfleet.dev/version": f"digits-v{number}"}}},
        **spec,
    }
    meta = {"name": f"digits-v{number}", "creationTimestamp": "2026-09-21T13:00:00Z"}
    return {"metadata": meta, "spec": body, "status": {"outcome": outcome} if outcome else {}}


VERSIONS = [version(3, "Candidate"), version(2, "Stable"), version(1, "Retired")]


def with_claims(**changes: tuple[str, str]) -> dict:
    """The model with other conditions: kind -> status and reason."""
    model = copy.deepcopy(MODEL)
    for claim in model["status"]["conditions"]:
        if claim["type"] in changes:
            claim["status"], claim["reason"] = changes[claim["type"]]
    return model


SETTLED = {"Reconciling": ("False", "Settled"), "RolledOut": ("True", "Complete")}


@pytest.mark.parametrize(
    ("changes", "health", "reason"),
    [
        ({}, "Progressing", "RollingOut"),
        (SETTLED, "Healthy", "Serving"),
        ({"RolledOut": ("False", "Paused")}, "Suspended", "Paused"),
        ({**SETTLED, "Degraded": ("True", "Overloaded")}, "Degraded", "Overloaded"),
        ({"Stalled": ("True", "CrashLoop")}, "Degraded", "CrashLoop"),
        ({**SETTLED, "Available": ("False", "Starting")}, "Progressing", "Serving"),
    ],
)
def test_state(changes, health, reason):
    state = state_of(with_claims(**changes))
    assert (state.health, state.reason) == (health, reason)


def test_a_spec_that_nobody_has_seen_is_under_way():
    model = with_claims(**SETTLED)
    model["metadata"]["generation"] = 4
    assert state_of(model).health == "Progressing"
    assert state_of({"metadata": {"name": "new", "generation": 1}}).reason == "Unseen"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_age(seconds, text):
    made = {"metadata": {"creationTimestamp": "2026-09-21T13:33:20Z"}}
    moment = datetime.fromisoformat("2026-09-21T13:33:20Z").timestamp()
    assert age(made, moment + seconds) == text


@pytest.mark.parametrize(
    ("healths", "code"),
    [([], 0), (["Healthy"], 0), (["Healthy", "Progressing"], 4), (["Suspended", "Degraded"], 3)],
)
def test_exit_codes(healths, code):
    assert code_of(healths) == code


def test_table():
    [titles, row] = table_of([MODEL], NOW, with_namespace=True, is_wide=False)
    assert titles[0] == "NAMESPACE"
    assert row == (
        *("team-a", "digits", "Progressing", "digits-v2 -> digits-v3", "2 (wants 3)"),
        *("RollingOut", "waits for digits-v3"),
    )
    [titles, row] = table_of(
        [{"metadata": MODEL["metadata"]}], NOW, with_namespace=False, is_wide=True
    )
    assert len(titles) == len(row)
    assert "-" in row


def replica(name: str, number: int, **status: object) -> dict:
    labels = {"modelfleet.dev/version": f"digits-v{number}", "modelfleet.dev/in-service": "true"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": "node-1"},
        "status": status,
    }


def printed(pods: list[dict]) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(tree_of(MODEL, VERSIONS, pods))
    return console.export_text()


def test_tree():
    is_ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    leaving = replica("digits-v2-b", 2, **is_ready)
    leaving["metadata"]["labels"]["modelfleet.dev/in-service"] = "false"
    waiting = {"name": "server", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    text = printed(
        [
            replica("digits-v2-a", 2, **is_ready),
            leaving,
            replica("digits-v3-a", 3, phase="Pending", containerStatuses=[waiting]),
            replica("digits-v3-b", 3, phase="Running"),
        ]
    )
    for line in (
        "team-a/digits Progressing RollingOut: waits for digits-v3",
        "digits-v3 (candidate, 25 % of the requests)",
        "digits-v3-a server: ImagePullBackOff on node-1",
        "digits-v3-b starts on node-1",
        "digits-v2 (stable, 75 % of the requests)",
        "digits-v2-a ready on node-1",
        "digits-v2-b drains on node-1",
        "2 replicas granted, 3 wanted",
        "8.1 busy slots now",
        "route 7: every gateway uses it",
        "ScalingActive=False Recommending",
    ):
        assert line in text, text
    assert "digits-v1" not in text, "a retired version without replicas is no news"
    assert "Stalled" not in text
    assert text.count("waits for digits-v3") == 1


def test_versions_table():
    titles, *lines = rows(MODEL, VERSIONS, NOW)
    assert titles[0] == "VERSION"
    assert [line[1] for line in lines] == ["Candidate", "Stable", "Retired"]
    assert lines[0][-1] == "sha256:abc https://models.example/digits-3.onnx"


def test_difference_of_two_versions_is_what_changed_alone():
    old, new = version(2, "Stable"), version(3, "Candidate")
    lines = differences(old, new)
    changed = [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}]
    assert changed == [
        "-  uri: https://models.example/digits-2.onnx",
        "+  uri: https://models.example/digits-3.onnx",
    ]
    same = version(3, None, artifact=old["spec"]["artifact"])
    assert differences(old, same) == [], "the name of a version is no difference"


@pytest.mark.parametrize("text", ["digits-v2", "v2", "2"])
def test_version_by_name_or_number(text):
    assert version_name("digits", text, {"digits-v2": {}}) == "digits-v2"


@pytest.mark.parametrize("text", ["digits-v9", "9", "other", ""])
def test_unknown_version_is_an_error_that_names_the_others(text):
    with pytest.raises(UsageError, match="it has: digits-v2"):
        version_name("digits", text, {"digits-v2": {}})


@pytest.mark.parametrize(
    ("stable", "candidate", "expected"),
    [("digits-v2", None, "digits-v1"), ("digits-v2", "digits-v3", "digits-v2")],
)
def test_rollback_goes_to_the_version_before(stable, candidate, expected):
    by_name = {each["metadata"]["name"]: each for each in VERSIONS}
    model = {"metadata": MODEL["metadata"], "status": {"stable": stable, "candidate": candidate}}
    assert before(model, by_name) == expected


def test_rollback_without_an_earlier_version_is_an_error():
    only = {"digits-v1": version(1, "Stable")}
    with pytest.raises(UsageError, match="no earlier version"):
        before({"metadata": MODEL["metadata"], "status": {"stable": "digits-v1"}}, only)
