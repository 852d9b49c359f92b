"""Decide which provider gives the local cluster on this machine.

Called by ``__main__`` and by tests. ``choose`` is pure and takes what ``look`` has seen; where no
provider fits it says which is nearest and what is missing. It must never start anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from .base import Cluster, ClusterError
from .existing import ExistingCluster
from .kind import KindCluster
from .native.cluster import NativeCluster

NATIVE, KIND, EXISTING = "native", "kind", "existing"
DOCKER_SECONDS = 10


@dataclass(frozen=True)
class Machine:
    """What was seen: each field is one thing that a provider needs."""

    docker_answers: bool
    kind_found: bool
    is_linux: bool
    is_root: bool
    go_found: bool
    kubeconfig: str | None

    def lacks(self) -> dict[str, list[str]]:
        """Give what each provider misses here, in words."""
        needs = {
            KIND: (
                (self.docker_answers, "a running Docker engine"),
                (self.kind_found, "the program kind"),
            ),
            NATIVE: (
                (self.is_linux, "Linux"),
                (self.is_root, "to be root"),
                (self.go_found, "Go 1.25 or newer"),
            ),
            EXISTING: ((bool(self.kubeconfig), "KUBECONFIG to be set"),),
        }
        return {name: [text for met, text in each if not met] for name, each in needs.items()}


def choose(wanted: str | None, machine: Machine) -> str:
    """Give the name of the provider, or raise ``ClusterError`` with what to do."""
    lacks = machine.lacks()
    if wanted:
        if wanted not in lacks:
            message = f"CLUSTER={wanted} is unknown: use one of {', '.join(sorted(lacks))}"
            raise ClusterError(message)
        if lacks[wanted]:
            message = f"CLUSTER={wanted} needs {' and '.join(lacks[wanted])}"
            raise ClusterError(message)
        return wanted
    for name in (KIND, NATIVE):
        if not lacks[name]:
            return name
    # An existing cluster is never taken unasked, so it is never the nearest.
    nearest = min((KIND, NATIVE), key=lambda name: len(lacks[name]))
    message = (
        f"no local cluster fits this machine; nearest is {nearest}, which needs "
        f"{' and '.join(lacks[nearest])} (or set KUBECONFIG and CLUSTER=existing)"
    )
    raise ClusterError(message)


def look(environment: Mapping[str, str]) -> Machine:
    """Look at this machine."""
    return Machine(
        docker_answers=_docker_answers(),
        kind_found=shutil.which("kind") is not None,
        is_linux=sys.platform == "linux",
        is_root=os.geteuid() == 0,
        go_found=shutil.which("go") is not None,
        kubeconfig=environment.get("KUBECONFIG"),
    )


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    with suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run(
            [docker, "version", "--format={{.Server.Version}}"],
            capture_output=True,
            check=False,
            timeout=DOCKER_SECONDS,
        )
        return asked.returncode == 0
    return False


def provider(environment: Mapping[str, str]) -> Cluster:
    """Give the provider for this machine, as ``CLUSTER`` and what is there decide."""
    name = choose(environment.get("CLUSTER"), look(environment))
    if name == KIND:
        return KindCluster()
    if name == EXISTING:
        return ExistingCluster(environment["KUBECONFIG"])
    return NativeCluster()
