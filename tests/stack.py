"""The installed product on the local Kubernetes, as tests and tools see it.

Used by `tests.run`, the end-to-end tests, the fault campaigns and the benchmarks. Talks through
kubectl, as a user would. Must never touch a namespace that it did not make.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import speed
from tests.cluster import base, choose

ROOT = Path(__file__).parents[1]
KUBECTL = ROOT / "build" / "bin" / "kubectl"
KUBECONFIG = ROOT / "build" / "cluster" / "kubeconfig"
AUDIT_LOG = ROOT / "build" / "cluster" / "audit.log"
SYSTEM = "modelfleet-system"
RECORDED = os.environ.get("MODELFLEET_RECORD_STATUSES")
"""File for the models that tests read; see `tests.argocd.capture`."""

Json = dict[str, Any]


def kubectl(*arguments: str, given: str | None = None, check: bool = True) -> str:
    """Run kubectl; returns what it prints. With `check`, failure raises with its words."""
    done = subprocess.run(
        [str(KUBECTL), "--kubeconfig", str(KUBECONFIG), *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        msg = f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        raise RuntimeError(msg)
    return done.stdout if done.returncode == 0 else done.stderr


def apply(*objects: Json) -> str:
    """Apply objects as a user does."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    return kubectl("apply", "-f", "-", given=text)


def get(kind: str, namespace: str, name: str) -> Json | None:
    """One object, or None."""
    text = kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
    found: Json | None = json.loads(text) if text.strip() else None
    if RECORDED and found is not None and found["kind"].startswith("MLModel"):
        found["metadata"].pop("managedFields", None)
        with Path(RECORDED).open("a") as record:
            record.write(json.dumps(found) + "\n")
    return found


def items(kind: str, namespace: str, selector: str = "") -> list[Json]:
    """All objects of a kind in a namespace."""
    more = ["-l", selector] if selector else []
    text = kubectl("-n", namespace, "get", kind, "-o", "json", *more)
    found: list[Json] = json.loads(text)["items"]
    return found


def wait(what: str, found: Callable[[], Any], seconds: float, every: float = 0.25) -> Any:
    """Ask until the answer is true; raises TimeoutError that says what was awaited.

    ``seconds`` are those of the reference machine: a slower one gets more (``patience``).
    """
    seconds = patience(seconds)
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > deadline:
            msg = f"waited {seconds:.3g} s for {what}"
            raise TimeoutError(msg)
        time.sleep(every)


def patience(seconds: float) -> float:
    """A bound of time on this machine, never below ``seconds``."""
    return speed.patience(seconds)


def timeout(seconds: float) -> str:
    """The same as an option of kubectl."""
    return f"--timeout={patience(seconds):.0f}s"


def condition(model: Json | None, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition of a model."""
    for one in ((model or {}).get("status") or {}).get("conditions") or []:
        if one["type"] == kind:
            return one["status"], one["reason"], one["message"]
    return "", "", ""


def enter(command: Sequence[str]) -> list[str]:
    """The command as it must be run to reach pods and Services."""
    return ["python3", "-m", "tests.cluster", "enter", "--", *command]


def inside(*command: str, seconds: float = 60) -> str:
    """Run a command in the cluster's network; returns what it prints."""
    done = subprocess.run(
        enter(command),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(seconds),
    )
    if done.returncode != 0:
        msg = f"{' '.join(command)}: {done.stderr.strip()[-500:]}"
        raise RuntimeError(msg)
    return done.stdout


def install() -> None:
    """Apply the local overlay and wait until everything is ready."""
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "manifests" / "local"))
    for name in ("modelfleet-gateway", "modelfleet-operator"):
        kubectl("-n", SYSTEM, "rollout", "restart", f"deployment/{name}")
    for name in ("modelfleet-gateway", "modelfleet-operator"):
        kubectl("-n", SYSTEM, "rollout", "status", f"deployment/{name}", timeout(240))


@functools.cache
def gateway_url() -> str:
    """Where this machine reaches the gateways from outside.

    Another cluster may have the usual port: whoever asks there would test that one.
    """
    place = base.GATEWAY_NAMESPACE, base.GATEWAY_SERVICE, base.GATEWAY_PORT
    return f"http://{choose.provider(os.environ).service_address(*place)}"


def writes(since: int, agent: str = "modelfleet-operator") -> list[Json]:
    """Audited writes of a user agent after byte `since` of the audit log, Leases apart."""
    found = []
    with AUDIT_LOG.open("rb") as log:
        log.seek(since)
        for line in log:
            event = json.loads(line)
            is_write = event["verb"] in {"create", "update", "patch", "delete"}
            if not is_write or not event.get("userAgent", "").startswith(agent):
                continue
            if (event.get("objectRef") or {}).get("resource") == "leases":
                continue
            found.append(event)
    return found


def audit_position() -> int:
    """Where the audit log ends now."""
    return AUDIT_LOG.stat().st_size


def written(event: Json) -> str:
    """What an audited write was, in short: `patch mlmodels/status digits`."""
    reference = event["objectRef"]
    sub = f"/{reference['subresource']}" if reference.get("subresource") else ""
    return f"{event['verb']} {reference['resource']}{sub} {reference.get('name', '')}"


def reasons(namespace: str) -> str:
    """What the operator said of the models in a namespace: events and scaling, for a failure."""
    said = [f"{e.get('reason')}: {e.get('message')}" for e in items("events", namespace)]
    scaling = [
        f"{m['metadata']['name']}: {json.dumps((m.get('status') or {}).get('scaling'))}"
        for m in items("mlmodels", namespace)
    ]
    return "\n".join((*said, *scaling))
