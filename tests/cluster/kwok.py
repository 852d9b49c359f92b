"""Fake nodes beside the real one, for tests of scale: KWOK plays their pods, nothing runs.

Called by the verbs ``kwok-up``, ``kwok-down`` and ``down``. Fake nodes carry a taint, so only
workloads that tolerate it land there; ask for them with ``SELECTOR``. The one process is known by
its id and start time, like those of the native cluster.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from .base import ClusterError
from .console import say
from .existing import kubectl
from .native import build, layout, state
from .paths import CLUSTER

SELECTOR = "modelfleet.local/fake"
MANAGED = "kwok.x-k8s.io/node"
NAME = "kwok"
STATE_FILE = CLUSTER / "kwok.json"
LOG = CLUSTER / "kwok.log"
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
READY_SECONDS = 60.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.2


def command(programs: Path, kubeconfig: Path) -> list[str]:
    """Give KWOK's command line: it manages marked nodes only, never the real one."""
    return [
        str(programs / NAME),
        f"--kubeconfig={kubeconfig}",
        f"--config={programs}/stages.yaml",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={MANAGED}=fake",
        f"--cidr={layout.FAKE_POD_RANGE}",
        "--node-lease-duration-seconds=40",
    ]


def node(number: int, accelerators: int = 0) -> dict[str, Any]:
    """Give one fake node; its numbers are generous, as scale and not packing is tested."""
    name = f"fake-{number:04d}"
    capacity = dict(CAPACITY)
    if accelerators:
        capacity["nvidia.com/gpu"] = str(accelerators)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {MANAGED: "fake"},
            "labels": {
                SELECTOR: "true",
                "kubernetes.io/hostname": name,
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {"taints": [{"key": SELECTOR, "value": "true", "effect": "NoSchedule"}]},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def start(kubeconfig: Path, count: int, accelerators: int = 0) -> None:
    """Have ``count`` fake nodes, starting KWOK where it does not run yet."""
    _start_process(kubeconfig)
    items = [node(number, accelerators) for number in range(count)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl(kubeconfig, "apply", "--server-side", "--filename=-", stdin=text)
    surplus = [name for name in _names(kubeconfig) if int(name.rpartition("-")[2]) >= count]
    if surplus:
        kubectl(kubeconfig, "delete", "--wait=false", *surplus)
    _await_ready(kubeconfig, count)
    say(f"{count} fake nodes are Ready; tolerate and select {SELECTOR}=true to use them")


def stop(kubeconfig: Path) -> None:
    """Remove the fake nodes and end KWOK; pods left on them are collected by Kubernetes."""
    if STATE_FILE.exists() and kubeconfig.exists():
        kubectl(kubeconfig, "delete", "node", f"--selector={SELECTOR}", "--wait=false")
    kill()


def kill() -> None:
    """End KWOK alone: what to do when the whole cluster goes."""
    found = state.load(STATE_FILE) or state.State()
    for process in found.processes.values():
        process.kill()
    if state.wait_gone(found.processes.values(), STOP_SECONDS):
        message = "KWOK does not end"
        raise ClusterError(message)
    STATE_FILE.unlink(missing_ok=True)


def _start_process(kubeconfig: Path) -> None:
    found = state.load(STATE_FILE)
    if found and all(each.is_alive() for each in found.processes.values()):
        return
    programs = build.kwok()
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as output:
        started = subprocess.Popen(
            command(programs, kubeconfig),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = state.Process.of(started.pid)
    if process:
        state.State({NAME: process}).save(STATE_FILE)
    time.sleep(0.5)  # a wrong command line shows at once
    if process is None or not process.is_alive():
        message = f"KWOK ended at once; see {LOG}"
        raise ClusterError(message)


def _await_ready(kubeconfig: Path, count: int) -> None:
    """Wait by counting: "kubectl wait" asks for each node by itself and takes minutes."""
    deadline = time.monotonic() + READY_SECONDS
    path = '--output=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    while True:
        answer = kubectl(kubeconfig, "get", "nodes", f"--selector={SELECTOR}", path)
        ready = answer.split().count("True")
        if ready >= count:
            return
        if time.monotonic() > deadline:
            message = f"only {ready} of {count} fake nodes are Ready; see {LOG}"
            raise ClusterError(message)
        time.sleep(POLL_SECONDS)


def _names(kubeconfig: Path) -> list[str]:
    listed = kubectl(kubeconfig, "get", "nodes", f"--selector={SELECTOR}", "--output=name")
    return listed.split()
