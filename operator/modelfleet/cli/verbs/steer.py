"""`kubectl modelfleet pause`, `resume` and `rollback`: one field of a model's spec each.

What GitOps keeps in a repository is changed there instead: it would undo the change here.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from modelfleet.cli.support import cluster
from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.exit import ended
from modelfleet.cli.verbs.show_versions import version_name

Json = cluster.Json
Change = tuple[Mapping[str, Any], str]
"""Fields of a spec, None for one that goes; and what their change means."""
Decide = Callable[[cluster.Cluster, Json, argparse.Namespace], Change]


def pause(arguments: list[str]) -> int:
    """Stop the rollouts of a model; it goes on serving and scaling."""
    return _steer(_parser("pause", pause.__doc__), arguments, _pause)


def _pause(_: cluster.Cluster, __: Json, ___: argparse.Namespace) -> Change:
    return {"paused": True}, "rollouts are stopped"


def resume(arguments: list[str]) -> int:
    """End the pause of a model; of one that is not paused, end the rollback: follow the spec."""
    return _steer(_parser("resume", resume.__doc__), arguments, _resume)


def _resume(_: cluster.Cluster, model: Json, __: argparse.Namespace) -> Change:
    spec = model.get("spec") or {}
    if not spec.get("paused"):
        return {"version": None}, "the spec is followed"
    # A version that was set before the pause stays: its reason may still hold.
    stays = f"; {spec.get('version')} stays until 'modelfleet resume' once more"
    return {"paused": False}, f"rollouts go on{stays if spec.get('version') else ''}"


def rollback(arguments: list[str]) -> int:
    """Serve an earlier version again; `resume` follows the spec again."""
    parser = _parser("rollback", rollback.__doc__)
    parser.add_argument("--to", metavar="VERSION", help="a version; by default the one before")
    return _steer(parser, arguments, _rollback)


def _rollback(connection: cluster.Cluster, model: Json, chosen: argparse.Namespace) -> Change:
    versions = {
        version["metadata"]["name"]: version
        for version in connection.versions(model["metadata"]["namespace"], chosen.name)
    }
    to = version_name(chosen.name, chosen.to, versions) if chosen.to else before(model, versions)
    again = f"'modelfleet resume {chosen.name}' follows the spec again"
    return {"version": to}, f"goes back to {to}; {again}"


def _steer(parser: argparse.ArgumentParser, arguments: list[str], decide: Decide) -> int:
    """Read the model, change what `decide` says of its spec, and print what that means."""

    def run() -> int:
        chosen = parser.parse_args(arguments)
        connection = cluster.Cluster(chosen.context)
        namespace = chosen.namespace or connection.namespace
        model = connection.model(namespace, chosen.name)
        change, done = decide(connection, model, chosen)
        connection.change_model(namespace, chosen.name, change)
        sys.stdout.write(f"{namespace}/{chosen.name}: {done}\n")
        return 0

    return ended(parser.prog.rpartition(" ")[2], run)


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
