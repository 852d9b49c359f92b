"""What every local cluster can do, whoever provides it.

Read by the verbs in ``__main__`` and by tests that need a real API server; implemented by
``native``, ``kind`` and ``existing``. A provider must never leave anything behind after ``down``,
and every verb may be interrupted and repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

GATEWAY_NAMESPACE = "modelfleet-system"
GATEWAY_SERVICE = "modelfleet-gateway-external"
GATEWAY_PORT = 80


class ClusterError(Exception):
    """A step could not be done; the text says which and what to do, for a person to read."""


@dataclass(frozen=True)
class Archive:
    """One image on disk, ready to be loaded.

    ``reference`` is the full name the runtime will know it by, ``digest`` the ``sha256:...`` of its
    manifest, by which a provider sees that it is loaded already.
    """

    reference: str
    digest: str
    path: Path


@dataclass(frozen=True)
class Status:
    """What runs now. ``processes`` maps a name to its process id, ``details`` is for people."""

    provider: str
    running: bool
    processes: dict[str, int]
    details: dict[str, str]


class Cluster(Protocol):
    """A Kubernetes that a test may use. All methods raise ``ClusterError`` with a clear text."""

    name: str

    def up(self) -> None:
        """Start it, or do nothing where it runs already. Returns with a Ready node and DNS."""

    def down(self) -> None:
        """Stop it and remove every trace. Does nothing where nothing runs."""

    def status(self) -> Status:
        """Say what runs, without changing anything."""

    def kubeconfig(self) -> Path:
        """Give a kubeconfig that works from this machine."""

    def inside_kubeconfig(self) -> Path:
        """Give a kubeconfig that works for commands started through ``enter``."""

    def load_image(self, archive: Archive) -> bool:
        """Make an image known to the nodes; False where it was there already."""

    def service_address(self, namespace: str, name: str, port: int) -> str:
        """Give ``host:port`` at which this machine reaches a Service."""

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Give the command that runs ``argv`` where pod and Service addresses are reachable."""
