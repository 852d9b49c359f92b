"""Gateway pods that count: those that may have requests, and those to which a stream is kept.

`model.observe` waits for the acknowledgements of the first, `compose.operator` connects to the
second. Pure.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from modelfleet.engine.model.pods import moment


def may_get_traffic(
    pod: Mapping[str, Any], now: datetime, drain_seconds: float, *, is_connected: bool = False
) -> bool:
    """Return whether a gateway pod can still have requests.

    It can while it is ready, for the drain time after that, and for as long as it drains its last
    requests and its stream is connected. A pod that never was ready gets no request before its
    first whole configuration.
    """
    status = pod.get("status") or {}
    if status.get("phase") in {"Failed", "Succeeded"}:
        return False
    ready: Mapping[str, Any] = next(
        (c for c in status.get("conditions") or [] if c["type"] == "Ready"), {}
    )
    if ready.get("status") == "True":
        return True
    was_ready = bool(pod["metadata"].get("deletionTimestamp")) or _has_run(status)
    since = moment(ready.get("lastTransitionTime"))
    if not was_ready or since is None:
        return False
    if is_connected and pod["metadata"].get("deletionTimestamp"):
        return True
    return now - since < timedelta(seconds=drain_seconds)


def is_followed(
    pod: Mapping[str, Any], now: datetime, drain_seconds: float, *, is_connected: bool = False
) -> bool:
    """Return whether the leader wants a stream to this gateway pod.

    A pod that is not ready for longer than the drain time gets no traffic, unless it drains its
    last requests and its stream is connected. The silence of a pod on a dead node must not hold up
    the scaling of all models. It is followed again when it is ready.
    """
    status = pod.get("status") or {}
    if status.get("phase") != "Running" or not status.get("podIP"):
        return False
    ready: Mapping[str, Any] = next(
        (c for c in status.get("conditions") or [] if c["type"] == "Ready"), {}
    )
    since = moment(ready.get("lastTransitionTime"))
    if ready.get("status") == "True" or since is None:
        return True
    if is_connected and pod["metadata"].get("deletionTimestamp"):
        return True
    return now - since < timedelta(seconds=drain_seconds)


def _has_run(status: Mapping[str, Any]) -> bool:
    """Return whether every container has started once: true for a pod that ever was ready."""
    return all(
        c.get("restartCount", 0) > 0 or c.get("started")
        for c in status.get("containerStatuses") or [{}]
    )
