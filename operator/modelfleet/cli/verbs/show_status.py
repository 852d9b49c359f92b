"""`kubectl modelfleet status NAME`: the model as a tree, what it waits for, and what to do.

The tree has the versions with their replicas, the gateways' confirmation, and each condition that
is not as it is while all is well.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelfleet.api import names
from modelfleet.cli.support import cluster, output
from modelfleet.cli.support.exit import ended
from modelfleet.cli.support.model_state import ModelState, state_of

if TYPE_CHECKING:
    from rich.tree import Tree

BAD_WHEN_TRUE = frozenset({"Stalled", "Degraded", "DriftSuspected", "BudgetLimited"})
QUIET = frozenset({"Reconciling"})
"""Said by the first line already."""
_STYLES = {
    "Healthy": "green",
    "Progressing": "yellow",
    "Suspended": "cyan",
    "Degraded": "red",
}


def show_status(arguments: list[str]) -> int:
    """Print one model as a tree."""
    parser = argparse.ArgumentParser("modelfleet status", description=__doc__)
    parser.add_argument("name", help="the model")
    cluster.add_arguments(parser)
    output.add_output(parser)
    chosen = parser.parse_args(arguments)
    return ended("status", lambda: output.shown(lambda: _show(chosen), watch=chosen.watch))


def _show(chosen: argparse.Namespace) -> int:
    from rich.console import Console

    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    model = connection.model(namespace, chosen.name)
    state = state_of(model)
    code = output.code_of([state.health]) if chosen.exit_code else 0
    if chosen.output:
        sys.stdout.write(output.structured(model, chosen.output))
        return code
    versions = connection.versions(namespace, chosen.name)
    selector = f"{names.LABEL_MODEL}={chosen.name},{names.LABEL_ROLE}={names.ROLE_REPLICA}"
    pods = connection.pods(namespace, selector)
    Console(highlight=False).print(tree_of(model, versions, pods))
    return code


def tree_of(
    model: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
) -> "Tree":
    """Return the tree of an MLModel with its MLModelVersions and pods."""
    from rich.tree import Tree

    meta, status, state = model["metadata"], model.get("status") or {}, state_of(model)
    tree = Tree(_title(f"{meta['namespace']}/{meta['name']}", state))
    _add_versions(tree, status, versions, pods)
    _add_traffic(tree, status)
    for claim in status.get("conditions") or []:
        if not _is_as_usual(claim) and claim["message"] != state.message:
            tree.add(f"{claim['type']}={claim['status']} {claim['reason']}: {claim['message']}")
    return tree


def _title(name: str, state: ModelState) -> str:
    style = _STYLES[state.health]
    message = f": {state.message}" if state.message else ""
    return f"[bold]{name}[/bold] [{style}]{state.health}[/{style}] {state.reason}{message}"


def _add_versions(
    tree: "Tree",
    status: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
) -> None:
    roles = {status.get("stable"): "stable", status.get("candidate"): "candidate"}
    if status.get("retained"):
        roles.setdefault(status["retained"], f"warm until {status.get('retainedUntil', '')}")
    weights = {
        each["version"]: each["weight"] for each in (status.get("route") or {}).get("weights") or []
    }
    for version in versions:
        name = version["metadata"]["name"]
        own = [pod for pod in pods if _version_of(pod) == name]
        if name not in roles and not own:
            continue
        weight = f", {weights[name]:g} % of the requests" if name in weights else ""
        branch = tree.add(f"{name} ({roles.get(name, 'retired')}{weight})")
        for pod in own:
            branch.add(_replica(pod))
        if not own:
            branch.add("[dim]no replicas[/dim]")


def _version_of(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get(names.LABEL_VERSION, ""))


def _replica(pod: Mapping[str, Any]) -> str:
    """Return one line: `digits-v1-abc ready on node-1`, or why it is not ready."""
    meta, status = pod["metadata"], pod.get("status") or {}
    where = f" on {pod['spec']['nodeName']}" if pod.get("spec", {}).get("nodeName") else ""
    if meta.get("deletionTimestamp"):
        return f"{meta['name']} [dim]ends{where}[/dim]"
    is_out = (meta.get("labels") or {}).get(names.LABEL_IN_SERVICE) == names.OUT_OF_SERVICE
    claims = {claim["type"]: claim for claim in status.get("conditions") or []}
    if claims.get("Ready", {}).get("status") == "True":
        word = "[yellow]drains[/yellow]" if is_out else "[green]ready[/green]"
        return f"{meta['name']} {word}{where}"
    return f"{meta['name']} [yellow]{_why_not_ready(status, claims)}[/yellow]{where}"


def _why_not_ready(status: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    containers = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in {None, "PodInitializing", "ContainerCreating"}:
            return f"{container['name']}: {waiting['reason']}"
    scheduled = claims.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason', 'waits')}: {scheduled.get('message', '')}"
    return "starts" if status.get("phase") in {None, "Pending", "Running"} else str(status["phase"])


def _add_traffic(tree: "Tree", status: Mapping[str, Any]) -> None:
    scaling, route = status.get("scaling") or {}, status.get("route") or {}
    if scaling:
        branch = tree.add(f"{scaling.get('granted', 0)} replicas granted, {scaling['want']} wanted")
        for text in scaling.get("why") or []:
            branch.add(f"[dim]{text}[/dim]")
    if route:
        is_confirmed = route.get("confirmed") == route.get("revision")
        text = "every gateway uses it" if is_confirmed else "not every gateway has confirmed it"
        tree.add(f"route {route.get('revision')}: {text}")
    if status.get("url"):
        tree.add(f"{status['url']}")


def _is_as_usual(claim: Mapping[str, Any]) -> bool:
    kind = claim["type"]
    usual = "False" if kind in BAD_WHEN_TRUE else "True"
    return kind in QUIET or claim["status"] == usual
