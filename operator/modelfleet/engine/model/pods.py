"""Pod objects -> PodFacts, each with at most one fault: the only reader of a pod's status.

`model.observe` puts the facts into those of the model.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from modelfleet.api import names
from modelfleet.api.reasons import Reason
from modelfleet.build.pod import SERVER
from modelfleet.facts.identity import endpoint_of
from modelfleet.facts.model import Fault, PodFacts

_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_HOPELESS_PULL = _PULL - {"ErrImagePull"}
_CRASHES = 2


def moment(text: str | None) -> datetime | None:
    """Return a Kubernetes time stamp as a datetime in UTC."""
    return datetime.fromisoformat(text) if text else None


def pod_facts(item: Mapping[str, Any], port: int, in_flight: int | None) -> PodFacts:
    """Return the facts of a replica that listens on `port`."""
    meta, status = item["metadata"], item.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    is_ready = ready.get("status") == "True"
    address = status.get("podIP")
    annotations = meta.get("annotations") or {}
    created = moment(meta["creationTimestamp"])
    assert created is not None  # noqa: S101 - the API server always sets it
    return PodFacts(
        name=meta["name"],
        uid=meta["uid"],
        created_at=created,
        endpoint=endpoint_of(address, port) if address else None,
        is_ready=is_ready,
        ready_at=moment(ready.get("lastTransitionTime")) if is_ready else None,
        unready_since=None if is_ready else moment(ready.get("lastTransitionTime")) or created,
        is_in_service=(meta.get("labels") or {}).get(names.LABEL_IN_SERVICE) == names.IN_SERVICE,
        is_terminating=bool(meta.get("deletionTimestamp"))
        or status.get("phase") in {"Failed", "Succeeded"},
        in_flight=in_flight,
        fault=None if is_ready else _fault(meta["name"], status, conditions),
        has_started=_has_started(status),
        is_fetching=any(
            "running" in (c.get("state") or {}) for c in status.get("initContainerStatuses") or []
        ),
        fetched_at=_fetched_at(status),
        image_id=_image_id(status),
        is_failed=status.get("phase") == "Failed" and not meta.get("deletionTimestamp"),
        deletion_cost=int(annotations.get(names.ANNOTATION_DELETION_COST) or 0),
    )


def _image_id(status: Mapping[str, Any]) -> str | None:
    """Return the digest of the server's image, without the name before it and the node's scheme."""
    for container in status.get("containerStatuses") or []:
        if container.get("name") == SERVER:
            text = str(container.get("imageID") or "")
            return text.rpartition("@")[2].rpartition("//")[2] or None
    return None


def _fetched_at(status: Mapping[str, Any]) -> datetime | None:
    ends = [
        (container.get("state") or {}).get("terminated") or {}
        for container in status.get("initContainerStatuses") or []
    ]
    moments = [moment(end.get("finishedAt")) for end in ends if end.get("exitCode") == 0]
    return max((at for at in moments if at is not None), default=None)


def _has_started(status: Mapping[str, Any]) -> bool:
    containers = status.get("containerStatuses") or []
    return bool(containers) and all(
        container.get("started") and "running" in (container.get("state") or {})
        for container in containers
    )


def _fault(
    name: str, status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]
) -> Fault | None:
    if status.get("phase") == "Failed":
        why = status.get("message") or status.get("reason") or "it ended"
        return Fault(Reason.POD_FAILED.value, f"{name} failed: {why}"[:600])
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        text = f"{name} cannot be scheduled: {scheduled.get('message', '')}"
        return Fault(Reason.UNSCHEDULABLE.value, text[:600])
    containers = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    for container in containers:
        fault = _container_fault(name, container)
        if fault is not None:
            return fault
    return None


def _container_fault(pod: str, container: Mapping[str, Any]) -> Fault | None:
    state = container.get("state") or {}
    where = f"{pod}, container {container['name']}"
    waiting = _waiting_fault(where, container, state.get("waiting") or {})
    if waiting is not None:
        return waiting
    if "running" in state and container.get("started"):
        # The container has started again: an earlier end is no fault of now.
        return None
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    if not ended or ended.get("exitCode") == 0:
        return None
    crashes = int(container.get("restartCount") or 0) + (0 if "running" in state else 1)
    return _ended_fault(where, ended, crashes)


def _waiting_fault(
    where: str, container: Mapping[str, Any], waiting: Mapping[str, Any]
) -> Fault | None:
    reason = waiting.get("reason", "")
    text = waiting.get("message") or reason
    if reason in _PULL:
        message = f"{where}: image {container.get('image')}: {text}"
        return Fault(Reason.IMAGE_PULL_FAILED.value, message[:600], reason in _HOPELESS_PULL)
    if reason in _CONFIG:
        return Fault(Reason.CONTAINER_FAILED.value, f"{where}: {text}"[:600])
    return None


def _ended_fault(where: str, ended: Mapping[str, Any], crashes: int) -> Fault | None:
    report = reported(ended.get("message"))
    if report is not None:
        # The fetch and serve commands write their fault into the termination message.
        text = f"{where}: {report.get('message', '')}"
        is_hopeless = bool(report.get("final")) or crashes >= _CRASHES
        return Fault(str(report["reason"]), text[:600], is_hopeless)
    if crashes < _CRASHES:
        return None
    last = (ended.get("message") or ended.get("reason") or "").strip().splitlines()
    text = f"{where} has ended {crashes} times, exit code {ended.get('exitCode')}"
    if last:
        text += f": {last[-1]}"
    return Fault(Reason.CRASH_LOOP.value, text[:600], is_hopeless=True)


def reported(message: str | None) -> dict[str, Any] | None:
    """Return the JSON in a termination message of our own containers, or None."""
    for line in reversed((message or "").strip().splitlines()):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict) and isinstance(value.get("reason"), str):
            return value
    return None
