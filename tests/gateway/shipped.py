"""The gateway pod as `manifests/base/gateway.yaml` says it: its containers, arguments and ports.

Used by the tests of this folder, so that they run what is shipped. The pod's own folder becomes
a folder of the test; nothing else is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MANIFEST = Path(__file__).parents[2] / "manifests" / "base" / "gateway.yaml"
RUN_DIR = "/run/modelfleet"


def pod() -> dict[str, Any]:
    """The pod that the Deployment makes."""
    parts = yaml.safe_load_all(MANIFEST.read_text())
    found = next(part for part in parts if part["kind"] == "Deployment")
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    """A container of the pod, of either kind."""
    all_of_them = (*pod()["initContainers"], *pod()["containers"])
    found: dict[str, Any] = next(one for one in all_of_them if one["name"] == name)
    return found


def arguments(name: str, run_dir: Path) -> list[str]:
    """A container's arguments, with the test's folder for the pod's."""
    return [argument.replace(RUN_DIR, str(run_dir)) for argument in container(name)["args"]]


def port(name: str, port_name: str) -> int:
    """The number behind a port's name."""
    ports = container(name)["ports"]
    return next(int(one["containerPort"]) for one in ports if one["name"] == port_name)
