"""The local cluster from kind, where a Docker engine answers: the usual way on a laptop.

Made by ``choose``. Kept short on purpose. Not verified yet: no machine with a Docker engine was
at hand when it was written. It must only touch the one kind cluster of its own name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .base import Archive, ClusterError, Status
from .console import run, say
from .existing import service_address
from .paths import CLUSTER

NAME = "modelfleet"


class KindCluster:
    """One kind cluster, named after the product."""

    name = "kind"

    def __init__(self, directory: Path = CLUSTER) -> None:
        self._directory = directory

    def up(self) -> None:
        """Create it, or do nothing where it is there."""
        if self._exists():
            say("the cluster is up already")
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        self._kind("create", "cluster", "--wait=120s", f"--kubeconfig={self.kubeconfig()}")

    def down(self) -> None:
        """Delete it."""
        if self._exists():
            self._kind("delete", "cluster", f"--kubeconfig={self.kubeconfig()}")

    def status(self) -> Status:
        """Say whether it is there."""
        return Status(self.name, self._exists(), {}, {"kubeconfig": str(self.kubeconfig())})

    def kubeconfig(self) -> Path:
        """Give the kubeconfig that kind wrote."""
        return self._directory / "kubeconfig"

    def inside_kubeconfig(self) -> Path:
        """Give the same one: commands are not moved, see ``enter``."""
        return self.kubeconfig()

    def load_image(self, archive: Archive) -> bool:
        """Load an archive into the nodes; kind itself skips what is there."""
        self._kind("load", "image-archive", str(archive.path))
        return True

    def service_address(self, namespace: str, name: str, port: int) -> str:
        """Give the node's address and the Service's node port."""
        return service_address(self.kubeconfig(), (namespace, name, port))

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Refuse: the node container has its own files, so host commands cannot be moved in."""
        message = f"kind cannot enter the cluster's network to run {argv[0]}"
        raise ClusterError(message)

    def _exists(self) -> bool:
        return NAME in self._kind("get", "clusters").split()

    def _kind(self, *arguments: str) -> str:
        kind = shutil.which("kind", path=os.environ.get("PATH"))
        if kind is None:
            message = "install kind, or set CLUSTER=native"
            raise ClusterError(message)
        named = [] if arguments[0] == "get" else [f"--name={NAME}"]
        return run([kind, *arguments, *named])
