"""Health and actions of Argo CD, on statuses that the real operator has written."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from tests.argocd.scripts import SCRIPTS, run

HEALTH = [
    (kind, case)
    for kind in ("MLModel", "MLModelVersion")
    for case in yaml.safe_load((SCRIPTS / kind / "health_test.yaml").read_text())["tests"]
]
ACTIONS = yaml.safe_load((SCRIPTS / "MLModel" / "actions" / "action_test.yaml").read_text())
LEAST = 40
"""Statuses that were captured from the running operator."""


def given(kind: str, path: str) -> dict:
    return yaml.safe_load((SCRIPTS / kind / path).read_text())


def serving() -> dict:
    return given("MLModel", "testdata/healthy-serving.yaml")


@pytest.mark.parametrize(
    ("kind", "case"), HEALTH, ids=[f"{kind}-{Path(c['inputPath']).stem}" for kind, c in HEALTH]
)
def test_health(kind, case):
    found = run(SCRIPTS / kind / "health.lua", given(kind, case["inputPath"]))
    assert found == case["healthStatus"]


def test_there_are_enough_of_all_kinds():
    assert len(HEALTH) >= LEAST
    kinds = {case["healthStatus"]["status"] for _, case in HEALTH}
    assert kinds == {"Healthy", "Progressing", "Degraded", "Suspended"}
    used = {case["inputPath"] for kind, case in HEALTH if kind == "MLModel"}
    files = {f"testdata/{path.name}" for path in (SCRIPTS / "MLModel" / "testdata").iterdir()}
    assert used == files


@pytest.mark.parametrize("case", ACTIONS["discoveryTests"], ids=lambda c: Path(c["inputPath"]).stem)
def test_actions_that_are_offered(case):
    item = given("MLModel", f"actions/{case['inputPath']}")
    found = run(SCRIPTS / "MLModel" / "actions" / "discovery.lua", item)
    wanted = {each["name"]: each["disabled"] for each in case["result"]}
    assert {name: action["disabled"] for name, action in found.items()} == wanted


@pytest.mark.parametrize("case", ACTIONS["actionTests"], ids=lambda c: c["action"])
def test_action(case):
    item = given("MLModel", f"actions/{case['inputPath']}")
    script = SCRIPTS / "MLModel" / "actions" / case["action"] / "action.lua"
    assert run(script, item) == given("MLModel", f"actions/{case['expectedOutputPath']}")


def test_a_status_of_an_older_spec_is_not_healthy():
    item = serving()
    health = SCRIPTS / "MLModel" / "health.lua"
    assert run(health, item)["status"] == "Healthy"
    item["metadata"]["generation"] += 1
    assert run(health, item)["status"] == "Progressing"


@pytest.mark.parametrize("missing", ["status", "conditions", "Ready", "RolledOut", "Available"])
def test_what_is_missing_is_no_error(missing):
    item = copy.deepcopy(serving())
    if missing == "status":
        del item["status"]
    elif missing == "conditions":
        del item["status"]["conditions"]
    else:
        item["status"]["conditions"] = [
            each for each in item["status"]["conditions"] if each["type"] != missing
        ]
    status = run(SCRIPTS / "MLModel" / "health.lua", item)["status"]
    assert status == ("Healthy" if missing == "Ready" else "Progressing")
