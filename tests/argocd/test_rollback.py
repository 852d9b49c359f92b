"""Argo CD's action goes back to the version that the command line goes back to."""

import pytest

from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.verbs.steer import before
from tests.argocd.scripts import SCRIPTS, run

ACTIONS = SCRIPTS / "MLModel" / "actions"
NONE = None


def model(stable: int | None, candidate: int | None, newest: int) -> dict:
    """A model whose other versions have served before."""

    def role(number: int) -> str:
        return {stable: "Stable", candidate: "Candidate"}.get(number, "Retired")

    numbers = range(newest, 0, -1)
    status = {
        "stable": stable and f"m-v{stable}",
        "candidate": candidate and f"m-v{candidate}",
        "versions": [{"name": f"m-v{number}", "outcome": role(number)} for number in numbers],
    }
    return {"metadata": {"name": "m"}, "spec": {"model": {}}, "status": status}


@pytest.mark.parametrize(
    ("stable", "candidate", "newest", "target"),
    [
        (3, None, 3, "m-v2"),
        (2, None, 3, "m-v1"),  # after a rollback: never forward to what it left
        (1, None, 3, NONE),
        (2, 3, 3, "m-v2"),  # during a rollout
        (None, 1, 1, NONE),
        (1, None, 1, NONE),
    ],
)
def test_target_of_a_rollback(stable, candidate, newest, target):
    item = model(stable, candidate, newest)
    is_disabled = run(ACTIONS / "discovery.lua", item)["rollback"]["disabled"]
    assert is_disabled == (target is NONE)
    changed = run(ACTIONS / "rollback" / "action.lua", item)
    assert changed["spec"].get("version") == target
    versions = {
        each["name"]: {"spec": {"number": int(each["name"][3:])}, "status": each}
        for each in item["status"]["versions"]
    }
    if target is NONE:
        with pytest.raises(UsageError):
            before(item, versions)
    else:
        assert before(item, versions) == target
