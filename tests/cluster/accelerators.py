"""Give a node accelerators that do not exist, so that real scheduling can be tested without any.

Called by the verb ``gpu``. The kubelet keeps an extended resource that it does not know, and the
scheduler counts it like a true one: pods beyond the number stay Pending with the true reason.
"""

from __future__ import annotations

import json
from pathlib import Path

from .base import ClusterError
from .existing import kubectl
from .kwok import SELECTOR

RESOURCE = "nvidia.com/gpu"


def patch(count: int) -> str:
    """Give the change of a node's status; zero takes the resource away."""
    value = {RESOURCE: str(count) if count else None}
    return json.dumps({"status": {"capacity": value, "allocatable": value}})


def set_accelerators(kubeconfig: Path, count: int) -> str:
    """Set the number on the first real node and give that node's name."""
    names = kubectl(kubeconfig, "get", "nodes", f"--selector=!{SELECTOR}", "--output=name").split()
    if not names:
        message = "the cluster has no real node"
        raise ClusterError(message)
    change = ("--subresource=status", "--type=merge", f"--patch={patch(count)}")
    kubectl(kubeconfig, "patch", names[0], *change)
    return names[0]
