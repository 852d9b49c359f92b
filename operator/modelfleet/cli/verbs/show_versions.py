"""`kubectl modelfleet versions NAME` and `diff NAME V1 V2`: what a model was, and what changed.

A version is immutable, so its difference to another one is the whole reason for a rollout.
"""

import argparse
import difflib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from modelfleet.api import names
from modelfleet.cli.support import cluster, output
from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.exit import ended
from modelfleet.cli.support.model_state import age

DIGEST_CHARACTERS = 19
NEVER_COMPARED = ("number", "shape", "source", "createdBy")
"""Fields that differ between all versions, or between operators."""


def show_versions(arguments: list[str]) -> int:
    """Print the versions of a model, newest first."""
    parser = argparse.ArgumentParser("modelfleet versions", description=show_versions.__doc__)
    parser.add_argument("name", help="the model")
    cluster.add_arguments(parser)
    parser.add_argument("-o", "--output", choices=["json", "yaml"], help="form of the output")
    return ended("versions", lambda: _versions(parser.parse_args(arguments)))


def _versions(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    model = connection.model(namespace, chosen.name)
    versions = connection.versions(namespace, chosen.name)
    if chosen.output:
        items = {"kind": "List", "apiVersion": "v1", "items": versions}
        sys.stdout.write(output.structured(items, chosen.output))
    else:
        output.table(rows(model, versions, time.time()))
    return 0


def rows(
    model: Mapping[str, Any], versions: Sequence[Mapping[str, Any]], now: float
) -> list[tuple[str, ...]]:
    """Return the titles and one row for each version; `now` is in seconds since 1970."""
    status = model.get("status") or {}
    roles = {status.get("stable"): "Stable", status.get("candidate"): "Candidate"}
    lines: list[tuple[str, ...]] = [("VERSION", "ROLE", "NAME", "AGE", "ARTIFACT")]
    for version in versions:
        name, spec = version["metadata"]["name"], version["spec"]
        outcome = (version.get("status") or {}).get("outcome") or "-"
        artifact = spec.get("artifact") or {}
        digest = str(artifact.get("digest", ""))[:DIGEST_CHARACTERS]
        lines.append(
            (
                name,
                roles.get(name, "Retired" if outcome in {"Stable", "Candidate"} else outcome),
                spec.get("modelVersion") or "-",
                age(version, now),
                f"{digest} {artifact.get('uri', '')}".strip() or "in the image",
            )
        )
    return lines


def diff_versions(arguments: list[str]) -> int:
    """Print what differs between two versions; exit code 1 when something does."""
    parser = argparse.ArgumentParser("modelfleet diff", description=diff_versions.__doc__)
    parser.add_argument("name", help="the model")
    parser.add_argument("old", help="a version: its name, or its number")
    parser.add_argument("new", help="another version")
    cluster.add_arguments(parser)
    return ended("diff", lambda: _diff(parser.parse_args(arguments)))


def _diff(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    versions = {
        version["metadata"]["name"]: version
        for version in connection.versions(namespace, chosen.name)
    }
    pair = [version_name(chosen.name, text, versions) for text in (chosen.old, chosen.new)]
    lines = list(differences(*(versions[name] for name in pair)))
    sys.stdout.write("\n".join(lines) + "\n" if lines else f"{pair[0]} and {pair[1]} are equal\n")
    return 1 if lines else 0


def version_name(model: str, text: str, versions: Mapping[str, Any]) -> str:
    """Return the name of a version from `churn-v3`, `v3` or `3`; raises `UsageError`."""
    number = text.removeprefix("v")
    name = names.version_name(model, int(number)) if number.isdigit() else text
    if name not in versions:
        known = ", ".join(sorted(versions)) or "none"
        message = f"{model} has no version '{text}'; it has: {known}"
        raise UsageError(message)
    return name


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a unified difference of the specs of two versions as YAML, line by line."""
    before, after = (_text(version) for version in (old, new))
    pair = (old["metadata"]["name"], new["metadata"]["name"])
    return list(difflib.unified_diff(before, after, *pair, lineterm="", n=2))


def _text(version: Mapping[str, Any]) -> list[str]:
    spec = {key: item for key, item in version["spec"].items() if key not in NEVER_COMPARED}
    own, model = version["metadata"]["name"], spec["model"]
    # The version's own name in labels and variables is no difference.
    text = output.structured(spec, "yaml").replace(own, f"{model}-vN")
    return text.splitlines()
