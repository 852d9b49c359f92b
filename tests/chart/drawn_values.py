"""Values drawn from the chart's own schema: valid ones, and the same with one fault."""

from __future__ import annotations

import random
from typing import Any

from tests.chart.generate import schema

WORDS = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": ["a", "team-a", "x0"],
    r"^[0-9.]+([eE][0-9]+|[numkMGTPE]|[KMGTPE]i)?$": ["500m", "2", "1.5", "1Gi", "1e3"],
    r"^(sha256:[0-9a-f]{64})?$": ["", f"sha256:{'0' * 64}"],
    r"^[0-9]+(ms|s|m)$": ["15s", "500ms", "1m"],
}
TOLERATION = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
            ]
        }
    }
}
SPECIAL = {
    "tolerations": [[], [TOLERATION]],
    "affinity": [{}, AFFINITY],
    "global": [{}, {"team": "a"}],
    # Other tests read them: the API server does not know their kinds.
    "podMonitors": [False],
    "rules": [False],
    "priorityClassName": ["", "system-cluster-critical"],
}
"""Values whose form is that of Kubernetes, or that only mean something together."""


def valid(draw: random.Random, node: dict[str, Any] | None = None, name: str = "") -> Any:
    """Values that the schema takes; each optional value is there in one of three cases."""
    node = schema() if node is None else node
    if name in SPECIAL:
        return draw.choice(SPECIAL[name])
    if "anyOf" in node:
        node = next(part for part in node["anyOf"] if part.get("type") != "null")
    if "enum" in node:
        return draw.choice(node["enum"])
    kind = node.get("type")
    if kind == "object":
        return _object(draw, node)
    if kind == "array":
        items = [valid(draw, node["items"]) for _ in range(draw.randint(1, 2))]
        return list(dict.fromkeys(items)) if items and isinstance(items[0], str) else items
    return _leaf(draw, node)


def _leaf(draw: random.Random, node: dict[str, Any]) -> Any:
    kind = node.get("type")
    if kind == "boolean":
        return draw.random() < 0.5
    if kind in {"integer", "number"}:
        low = node.get("minimum", node.get("exclusiveMinimum", 0) + 1)
        number = draw.randint(int(low), int(node.get("maximum", low + 2_000_000)))
        return number if kind == "integer" else number + 0.5
    return draw.choice(WORDS.get(node.get("pattern", ""), ["a", "b/c", "some-text"]))


def _object(draw: random.Random, node: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in node:
        return {"example.com/a": "b"} if draw.random() < 0.5 else {}
    needed = node.get("required", [])
    return {
        name: valid(draw, part, name)
        for name, part in node["properties"].items()
        if name in needed or draw.random() < 0.33
    }


def whole(values: dict[str, Any]) -> dict[str, Any]:
    """The values with what the drawn ones need beside them."""
    operator = values.get("operator", {})
    if operator.get("replicas", 1) > 1 and operator.get("memory", {}).get("persistent"):
        operator["memory"]["accessModes"] = ["ReadWriteMany"]
    for part in ("operator", "gateway"):
        for resources in _resources(values.get(part, {})):
            # A request above its limit is a fault that only the API server can see.
            resources.pop("limits", None)
    return values


def _resources(part: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [part, part.get("envoy", {}), part.get("agent", {})]
    return [each["resources"] for each in inner if "resources" in each]


def leaves(node: dict[str, Any] | None = None, path: tuple[str, ...] = ()) -> list[tuple]:
    """Path and schema of each value that is no object."""
    node = schema() if node is None else node
    found = []
    for name, part in node["properties"].items():
        if name == "global":
            continue
        if "properties" in part:
            found += leaves(part, (*path, name))
        else:
            found.append(((*path, name), part))
    return found


def wrong(part: dict[str, Any]) -> Any:
    """A value of another type."""
    kinds = [each.get("type") for each in part.get("anyOf", [part])]
    return ["a list"] if "array" not in kinds else "no list"


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """`("a", "b")` and 1 give {"a": {"b": 1}}."""
    for name in reversed(path):
        value = {name: value}
    return value
