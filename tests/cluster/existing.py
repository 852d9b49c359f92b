"""A cluster that somebody else made: ``CLUSTER=existing`` and ``KUBECONFIG`` set.

Made by ``choose``, never unasked. It starts and stops nothing: tests use their own namespaces and
clean them up. Images must already be where its nodes can pull them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .base import Archive, ClusterError, Status
from .console import run, say

NODE_PORT_ERROR = "has no address that this machine can reach: make it a NodePort or LoadBalancer"


def kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl against one cluster: the one that was built, or the machine's own."""
    built = Path(__file__).resolve().parents[2] / "build" / "bin" / "kubectl"
    found = str(built) if built.exists() else shutil.which("kubectl")
    if found is None:
        message = "kubectl is not installed"
        raise ClusterError(message)
    return run([found, f"--kubeconfig={kubeconfig}", *arguments], stdin=stdin)


def service_address(kubeconfig: Path, service: tuple[str, str, int]) -> str:
    """Give where a Service is reachable from outside: a load balancer, or a node and its port."""
    namespace, name, port = service
    text = kubectl(kubeconfig, "get", "service", name, f"--namespace={namespace}", "-o=json")
    document = json.loads(text)
    for each in document["status"].get("loadBalancer", {}).get("ingress", ()):
        return f"{each.get('ip') or each['hostname']}:{port}"
    ports = [each for each in document["spec"]["ports"] if each["port"] == port]
    if not ports or "nodePort" not in ports[0]:
        message = f"Service {namespace}/{name} port {port} {NODE_PORT_ERROR}"
        raise ClusterError(message)
    path = '-o=jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'
    return f"{kubectl(kubeconfig, 'get', 'nodes', path)}:{ports[0]['nodePort']}"


class ExistingCluster:
    """The cluster of a kubeconfig."""

    name = "existing"

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = Path(kubeconfig.partition(os.pathsep)[0])

    def up(self) -> None:
        """Only check that it answers."""
        kubectl(self._kubeconfig, "get", "--raw=/readyz")

    def down(self) -> None:
        """Leave it as it is: it is not ours."""
        say("an existing cluster is left running")

    def status(self) -> Status:
        """Say whether it answers."""
        try:
            self.up()
        except ClusterError as error:
            return Status(self.name, False, {}, {"error": str(error)})  # noqa: FBT003
        return Status(self.name, True, {}, {"kubeconfig": str(self._kubeconfig)})  # noqa: FBT003

    def kubeconfig(self) -> Path:
        """Give the first file of ``KUBECONFIG``."""
        return self._kubeconfig

    def inside_kubeconfig(self) -> Path:
        """Give the same one."""
        return self._kubeconfig

    def load_image(self, archive: Archive) -> bool:
        """Refuse: its nodes are out of reach."""
        message = f"push {archive.reference} to a registry that the cluster can pull from"
        raise ClusterError(message)

    def service_address(self, namespace: str, name: str, port: int) -> str:
        """Give a load balancer's or a node's address."""
        return service_address(self._kubeconfig, (namespace, name, port))

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Give the command as it is: it runs on this machine."""
        return list(argv)
