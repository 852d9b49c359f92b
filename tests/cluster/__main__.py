"""The verbs of the local cluster: ``python3 -m tests.cluster VERB``.

Used by people and by the Makefile. Each verb can be interrupted and repeated. Answers go to
standard output, progress and errors to standard error; the exit code is 0 where all went well.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from tests import slow

from . import kwok
from .accelerators import RESOURCE, set_accelerators
from .base import Cluster, ClusterError
from .choose import provider
from .console import say
from .images import Workshop
from .native import build
from .native.cluster import NativeCluster

Verb = Callable[[Cluster, argparse.Namespace], int]


def up(cluster: Cluster, _: argparse.Namespace) -> int:
    """Start the cluster."""
    if slow.group_of() and not isinstance(cluster, NativeCluster):
        message = f"SLOW cannot bound the {cluster.name} cluster: its processes are not ours"
        raise ClusterError(message)
    cluster.up()
    say(f"use it with: export KUBECONFIG={cluster.kubeconfig()}")
    return 0


def down(cluster: Cluster, _: argparse.Namespace) -> int:
    """Stop the cluster and remove every trace of it."""
    kwok.kill()
    cluster.down()
    return 0


def status(cluster: Cluster, options: argparse.Namespace) -> int:
    """Say what runs; exit code 1 where the cluster is not whole."""
    found = cluster.status()
    if options.json:
        sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")
    else:
        sys.stdout.write(f"{found.provider}: {'running' if found.running else 'not running'}\n")
        for name, value in (*found.processes.items(), *found.details.items()):
            sys.stdout.write(f"  {name:24}{value}\n")
    return 0 if found.running else 1


def kubeconfig(cluster: Cluster, options: argparse.Namespace) -> int:
    """Print the path of the kubeconfig."""
    path = cluster.inside_kubeconfig() if options.inside else cluster.kubeconfig()
    sys.stdout.write(f"{path}\n")
    return 0


def enter(cluster: Cluster, options: argparse.Namespace) -> int:
    """Run a command where pod and Service addresses are reachable."""
    words = [each for each in options.command if each != "--"] or [os.environ.get("SHELL", "sh")]
    environment = {**os.environ, "KUBECONFIG": str(cluster.inside_kubeconfig())}
    argv = cluster.enter(words)
    os.execvpe(argv[0], argv, environment)  # noqa: S606 - it is the verb's purpose


def build_images(_: Cluster, __: argparse.Namespace) -> int:
    """Build the images from this checkout."""
    for archive in Workshop().build():
        sys.stdout.write(f"{archive.reference} {archive.digest} {archive.path}\n")
    return 0


def load(cluster: Cluster, _: argparse.Namespace) -> int:
    """Build the images and load those that changed into the cluster."""
    for archive in Workshop().build():
        done = "loaded" if cluster.load_image(archive) else "is there already"
        say(f"{archive.reference} {done}")
    return 0


def build_programs(_: Cluster, __: argparse.Namespace) -> int:
    """Only compile the programs of the native cluster, to have them later."""
    sys.stdout.write(f"{build.kubernetes()}\n{build.kwok()}\n")
    return 0


def restart(cluster: Cluster, options: argparse.Namespace) -> int:
    """Kill one process of the native cluster and start it again."""
    if not isinstance(cluster, NativeCluster):
        message = f"the {cluster.name} cluster cannot restart single processes"
        raise ClusterError(message)
    cluster.restart(options.name)
    return 0


def gpu(cluster: Cluster, options: argparse.Namespace) -> int:
    """Give the real node N accelerators that do not exist; 0 takes them away."""
    name = set_accelerators(cluster.kubeconfig(), options.number)
    say(f"{name} has {options.number} {RESOURCE}")
    return 0


def kwok_up(cluster: Cluster, options: argparse.Namespace) -> int:
    """Have N fake nodes, for tests of scale."""
    kwok.start(cluster.kubeconfig(), options.number, options.gpus)
    return 0


def kwok_down(cluster: Cluster, _: argparse.Namespace) -> int:
    """Remove the fake nodes."""
    kwok.stop(cluster.kubeconfig())
    return 0


VERBS: dict[str, Verb] = {
    "up": up,
    "down": down,
    "status": status,
    "kubeconfig": kubeconfig,
    "enter": enter,
    "images": build_images,
    "load": load,
    "build": build_programs,
    "restart": restart,
    "gpu": gpu,
    "kwok-up": kwok_up,
    "kwok-down": kwok_down,
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, verb in VERBS.items():
        each = verbs.add_parser(name, help=verb.__doc__, description=verb.__doc__)
        if name == "status":
            each.add_argument("--json", action="store_true")
        if name == "kubeconfig":
            each.add_argument("--inside", action="store_true", help="for the verb enter")
        if name in {"gpu", "kwok-up"}:
            each.add_argument("number", metavar="N", type=int)
        if name == "restart":
            each.add_argument("name", help="of the process, as the verb status shows it")
        if name == "kwok-up":
            each.add_argument("--gpus", type=int, default=0, help="accelerators of each node")
        if name == "enter":
            each.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run one verb and give the exit code."""
    options = parse(arguments)
    # A terminated command cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return VERBS[options.verb](provider(os.environ), options)
    except ClusterError as error:
        say(f"error: {error}")
    except KeyboardInterrupt:
        say("interrupted")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
