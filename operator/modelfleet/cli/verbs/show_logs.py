"""`kubectl modelfleet logs NAME`: the last lines of all replicas of a model, each with its pod."""

import argparse
import sys

from modelfleet.api import names
from modelfleet.cli.support import cluster
from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.exit import ended

CONTAINERS = ("fetch", "server")


def show_logs(arguments: list[str]) -> int:
    """Print the logs of the replicas, the fetch of the artifact included."""
    parser = argparse.ArgumentParser("modelfleet logs", description=__doc__)
    parser.add_argument("name", help="the model")
    parser.add_argument("--version", help="only replicas of this version")
    parser.add_argument("--tail", type=int, default=20, metavar="N", help="lines of each (20)")
    parser.add_argument("--previous", action="store_true", help="of the container that ended")
    cluster.add_arguments(parser)
    return ended("logs", lambda: _logs(parser.parse_args(arguments)))


def _logs(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    connection.model(namespace, chosen.name)  # a wrong name is an error, not an empty log
    selector = f"{names.LABEL_MODEL}={chosen.name}"
    if chosen.version:
        selector += f",{names.LABEL_VERSION}={chosen.version}"
    pods = connection.pods(namespace, selector)
    if not pods:
        message = f"{namespace}/{chosen.name} has no replica now"
        raise UsageError(message)
    query = {"tailLines": str(chosen.tail), **({"previous": "true"} if chosen.previous else {})}
    for pod in pods:
        name = pod["metadata"]["name"]
        for container in _containers(pod):
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
            try:
                text = connection.text(path, container=container, **query)
            except cluster.ClusterError as fault:
                # A container that has not started yet has no log; the others still have theirs.
                text = f"({fault})"
            for line in text.splitlines():
                sys.stdout.write(f"{name} {container} {line}\n")
    return 0


def _containers(pod: cluster.Json) -> list[str]:
    spec = pod["spec"]
    return [
        each["name"]
        for each in (*spec.get("initContainers", []), *spec["containers"])
        if each["name"] in CONTAINERS or each in spec["containers"]
    ]
