"""The installed operator's process as tests look into it: its metrics, its log, its ends.

Used by tests that are `alone`. Must never change how it is installed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests import stack

SELECTOR = "app.kubernetes.io/name=modelfleet-operator"
HEALTH_PORT = 9446
_LINE = re.compile(r"^(?P<name>\w+){(?P<labels>[^}]*)} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_SERVICE, _TERM = "modelfleet_model_service_seconds", "modelfleet_scaling_slots"


def pod() -> stack.Json:
    """The one that stays."""
    found = [
        one
        for one in stack.items("pods", stack.SYSTEM, SELECTOR)
        if not one["metadata"].get("deletionTimestamp")
    ]
    return found[-1]


def _name() -> str:
    return str(pod()["metadata"]["name"])


def terms(namespace: str, model: str = "digits") -> dict[str, float]:
    """Terms of the newest decision for a model in busy slots, and `service` in seconds.

    Nothing while no process answers.
    """
    path = f"/api/v1/namespaces/{stack.SYSTEM}/pods/{_name()}:{HEALTH_PORT}/proxy/metrics"
    found = {}
    for line in _LINE.finditer(stack.kubectl("get", "--raw", path, check=False)):
        labels = dict(_LABEL.findall(line["labels"]))
        if labels.get("namespace") != namespace or labels.get("model") != model:
            continue
        if line["name"] == _SERVICE:
            found["service"] = float(line["value"])
        elif line["name"] == _TERM:
            found[labels["term"]] = float(line["value"])
    return found


def events() -> list[dict[str, Any]]:
    """Lines of the log of the process that runs, as values."""
    lines = stack.kubectl("-n", stack.SYSTEM, "logs", _name()).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def logged(event: str) -> list[dict[str, Any]]:
    """The lines of one kind."""
    return [one for one in events() if one.get("event") == event]


def restarts() -> int:
    """How often the container was started anew."""
    statuses = pod()["status"].get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def stop_container() -> None:
    """End the process as a node does that is drained; the pod and its volumes stay."""
    before = restarts()
    code = "import os; os.kill(1, 15)"
    stack.kubectl(*("-n", stack.SYSTEM, "exec", _name(), "--", "python3", "-c", code), check=False)
    stack.wait("the container to be started anew", lambda: restarts() > before, 60)


def delete_pod() -> None:
    """End the pod without grace, and with it the file of what was learned; another one leads."""
    before = _name()
    stack.kubectl(
        *("-n", stack.SYSTEM, "delete", "pod", before),
        *("--grace-period=0", "--force"),
    )
    stack.wait("another pod", lambda: _name() != before, 60)
    stack.kubectl("-n", stack.SYSTEM, "rollout", "status", "deployment/modelfleet-operator")
    # The Lease of the one that is gone has to run out first.
    stack.wait("it to lead", lambda: logged("leading") and logged("gateway connected"), 60, 1)
