"""Makes test data of Argo CD's scripts from statuses that the running operator wrote.

`MODELFLEET_RECORD_STATUSES=FILE make test` records each model that a test reads. Then
`python -m tests.argocd.capture FILE` writes one file for each set of conditions, and
`health_test.yaml` with what the script says: read the difference before you commit it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tests.argocd.scripts import SCRIPTS, run

KINDS = {"MLModel": 60, "MLModelVersion": 6}
"""At most so many files of each kind."""
KEPT_META = ("name", "namespace", "generation", "creationTimestamp")


def identity(item: dict[str, Any]) -> str:
    """Equal for objects between which no script can tell a difference."""
    status = item.get("status") or {}
    claims = sorted(
        (claim["type"], claim["status"], claim["reason"])
        for claim in status.get("conditions") or []
    )
    is_seen = status.get("observedGeneration") == item["metadata"].get("generation")
    has_pin = "version" in (item.get("spec") or {})
    outcome = status.get("outcome")
    return json.dumps([item["kind"], claims, is_seen, has_pin, outcome])


def title(item: dict[str, Any], health: dict[str, Any]) -> str:
    """Name of a file: the health, and the reason that explains it."""
    status = item.get("status") or {}
    claims = {claim["type"]: claim for claim in status.get("conditions") or []}
    order = (("Stalled", "True"), ("Degraded", "True"), ("RolledOut", "False"), ("Ready", ""))
    for kind, value in order:
        claim = claims.get(kind)
        if claim is not None and value in {"", claim["status"]}:
            return f"{health['status']}-{claim['reason']}".lower()
    return f"{health['status']}-{status.get('outcome', 'unseen')}".lower()


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """The object without what differs from run to run."""
    meta = {key: item["metadata"][key] for key in KEPT_META if key in item["metadata"]}
    meta["namespace"] = "team-a"
    text = json.dumps({**item, "metadata": meta})
    return json.loads(text.replace(item["metadata"].get("namespace", "\0"), "team-a"))


def chosen(
    kind: str, items: list[dict[str, Any]], most: int
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, health and object of at most so many: each name once before any comes again."""
    found, times = [], Counter[str]()
    for item in items:
        if item["kind"] == kind:
            health = run(SCRIPTS / kind / "health.lua", item)
            name = title(item, health)
            found.append((times[name], name, health, item))
            times[name] += 1
    found.sort(key=lambda each: each[0])
    return [each[1:] for each in found[:most]]


def write(recorded: Path) -> None:
    """Write the files of both kinds."""
    seen: dict[str, dict[str, Any]] = {}
    for line in recorded.read_text().splitlines():
        item = json.loads(line)
        seen.setdefault(identity(item), plain(item))
    for kind, most in KINDS.items():
        folder = SCRIPTS / kind / "testdata"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
        cases = []
        names: dict[str, int] = {}
        for name, health, item in chosen(kind, list(seen.values()), most):
            names[name] = names.get(name, 0) + 1
            number = f"-{names[name]}" if names[name] > 1 else ""
            path = folder / f"{name}{number}.yaml"
            path.write_text(yaml.safe_dump(item, sort_keys=False))
            cases.append({"healthStatus": health, "inputPath": f"testdata/{path.name}"})
        cases.sort(key=lambda case: case["inputPath"])
        text = yaml.safe_dump({"tests": cases}, sort_keys=False, width=1000)
        (SCRIPTS / kind / "health_test.yaml").write_text(text)
        print(f"{kind}: {len(cases)} statuses")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
