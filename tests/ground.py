"""The ground that tests and benchmarks stand on: the local Kubernetes with modelfleet on it.

Used by `tests.run`, `tests.bench` and `tests/conftest.py`. What cannot be brought up ends in one
line that says what failed, never in a traceback. Must never end a cluster by itself.
"""

from __future__ import annotations

import subprocess
import sys

from tests import stack


class GroundError(Exception):
    """The cluster, the images or the product did not come up; the message says which."""


def verb(name: str) -> None:
    """Run a verb of the local cluster; what it prints goes to the terminal as it comes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", name], cwd=stack.ROOT, check=False
    )
    if done.returncode != 0:
        msg = f"`python -m tests.cluster {name}` failed"
        raise GroundError(msg)


def is_up() -> bool:
    """Whether a local cluster runs."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "status"],
        cwd=stack.ROOT,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def down() -> None:
    """End the cluster; called by who started it."""
    subprocess.run([sys.executable, "-m", "tests.cluster", "down"], cwd=stack.ROOT, check=False)


def is_installed() -> bool:
    """Whether the product was applied to a cluster that answers."""
    if not (stack.KUBECTL.exists() and stack.KUBECONFIG.exists()):
        return False
    wanted = ("-n", stack.SYSTEM, "get", "deployment/modelfleet-operator", "-o", "name")
    return "modelfleet-operator" in stack.kubectl(*wanted, "--request-timeout=10s", check=False)


def install() -> None:
    """Apply the product as it is in this checkout, and wait for it."""
    try:
        stack.install()
    except RuntimeError as error:
        msg = f"modelfleet did not come up: {error}"
        raise GroundError(msg) from error


def stand() -> None:
    """Bring up what is not there: cluster, images of this checkout, product."""
    for name in ("up", "load"):
        verb(name)
    install()
