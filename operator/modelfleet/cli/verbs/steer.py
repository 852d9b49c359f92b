"""`kubectl modelfleet pause`, `resume` and `rollback`: one field of a model's spec each.

What GitOps keeps in a repository is changed there instead: it would undo the change here.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from modelfleet.cli.support import cluster
from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.exit import ended
from modelfleet.cli.verbs.show_versions import version_name


def pause(arguments: list[str]) -> int:
    """Stop the rollouts of a model; it goes on serving and scaling."""
    parser = _parser("pause", pause.__doc__)
    return ended("pause", lambda: _pause(parser.parse_args(arguments)))


def _pause(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    connection.change_model(namespace, chosen.name, {"paused": True})
    sys.stdout.write(f"{namespace}/{chosen.name}: rollouts are stopped\n")
    return 0


def resume(arguments: list[str]) -> int:
    """End the pause of a model; of one that is not paused, end the rollback: follow the spec."""
    parser = _parser("resume", resume.__doc__)
    return ended("resume", lambda: _resume(parser.parse_args(arguments)))


def _resume(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    spec = connection.model(namespace, chosen.name).get("spec") or {}
    if spec.get("paused"):
        # A version that was set before the pause stays: its reason may still hold.
        change: dict[str, Any] = {"paused": False}
        done = "rollouts go on"
        if spec.get("version"):
            done += f"; {spec['version']} stays until 'modelfleet resume' once more"
    else:
        change, done = {"version": None}, "the spec is followed"
    connection.change_model(namespace, chosen.name, change)
    sys.stdout.write(f"{namespace}/{chosen.name}: {done}\n")
    return 0


def rollback(arguments: list[str]) -> int:
    """Serve an earlier version again; `resume` follows the spec again."""
    parser = _parser("rollback", rollback.__doc__)
    parser.add_argument("--to", metavar="VERSION", help="a version; by default the one before")
    return ended("rollback", lambda: _rollback(parser.parse_args(arguments)))


def _rollback(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    model = connection.model(namespace, chosen.name)
    versions = {
        version["metadata"]["name"]: version
        for version in connection.versions(namespace, chosen.name)
    }
    target = (
        version_name(chosen.name, chosen.to, versions) if chosen.to else before(model, versions)
    )
    connection.change_model(namespace, chosen.name, {"version": target})
    sys.stdout.write(
        f"{namespace}/{chosen.name}: goes back to {target}; 'modelfleet resume {chosen.name}'"
        " follows the spec again\n"
    )
    return 0


def before(model: Mapping[str, Any], versions: Mapping[str, Any]) -> str:
    """Return the newest version that served before the stable one; raises `UsageError`.

    During a rollout that is the stable version itself: going back means to stay there.
    """
    status = model.get("status") or {}
    if status.get("candidate") and status.get("stable") in versions:
        return str(status["stable"])
    numbers = {name: int(version["spec"]["number"]) for name, version in versions.items()}
    now = numbers.get(status.get("stable", ""), 0)
    served = [
        name
        for name, version in versions.items()
        if numbers[name] < now and (version.get("status") or {}).get("outcome") == "Retired"
    ]
    if not served:
        message = f"{model['metadata']['name']} has no earlier version that has served"
        raise UsageError(message)
    return max(served, key=lambda name: numbers[name])


def _parser(verb: str, text: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"modelfleet {verb}", description=text)
    parser.add_argument("name", help="the model")
    cluster.add_arguments(parser)
    return parser
