"""Kubernetes objects of a watch -> the few values that the agent needs.

`watched.models` stores the values. Pure. Objects are foreign input. A missing or odd field gives
None or an empty value, never an exception that would stop the watch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from modelfleet.api import names
from modelfleet.facts.identity import bracketed
from modelfleet.facts.route import Exposure, Route, RouteWeight
from modelfleet.gateway.watched.view import VersionView

log = structlog.get_logger()

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """Ready endpoints of one EndpointSlice: `ip:port` to the pod behind it.

    `starting` is the number of endpoints that are not ready yet. `standing` are all whose pod is to
    stay, ready or not.
    """

    model: str
    version: str
    ready: Mapping[str, str]
    starting: int = 0
    standing: frozenset[str] = frozenset()


def read_slice(obj: Json) -> Slice | None:
    """Return the slice of a version; None for any other slice."""
    labels = obj["metadata"].get("labels") or {}
    version = labels.get(names.LABEL_VERSION)
    model = labels.get(names.LABEL_MODEL)
    if not version or not model:
        return None
    standing = frozenset(_endpoints(obj, is_ready=False))
    return Slice(model, version, ready_endpoints(obj), _starting(obj), standing)


def _starting(obj: Json) -> int:
    states = [endpoint.get("conditions") or {} for endpoint in obj.get("endpoints") or []]
    return sum(state.get("ready") is False and not state.get("terminating") for state in states)


def ready_endpoints(obj: Json) -> dict[str, str]:
    """Return `ip:port` to pod (uid, else name) of endpoints that are ready and not terminating."""
    return _endpoints(obj, is_ready=True)


def _endpoints(obj: Json, *, is_ready: bool) -> dict[str, str]:
    """Return `ip:port` to pod of endpoints that do not terminate; `is_ready`: only ready ones."""
    ports = obj.get("ports") or []
    if not ports or ports[0].get("port") is None:
        return {}
    port = ports[0]["port"]
    pods = {}
    for endpoint in obj.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        # Kubernetes defines: an unset `ready` means ready.
        if conditions.get("terminating") or (is_ready and conditions.get("ready") is False):
            continue
        target = endpoint.get("targetRef") or {}
        pod = target.get("uid") or target.get("name") or ""
        for address in endpoint.get("addresses") or []:
            host = bracketed(address)
            pods[f"{host}:{port}"] = pod
    return pods


def pod_names(obj: Json) -> dict[str, str]:
    """Return address to pod name of the ready endpoints."""
    pods = {}
    for endpoint in obj.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is False or conditions.get("terminating"):
            continue
        for address in endpoint.get("addresses") or []:
            pods[address] = (endpoint.get("targetRef") or {}).get("name", "")
    return pods


def read_route(obj: Json) -> Route | None:
    """Return the route of a model; None when it cannot be served."""
    status = _mapping(obj.get("status")).get("route")
    if not status:
        return None
    try:
        route = Route.from_status(status)
        return route if is_servable(route) else None
    except (KeyError, TypeError, AttributeError) as error:
        log.warning("route unreadable", model=obj["metadata"]["name"], error=repr(error))
        return None


def pending_version(model: str) -> str:
    """Return the name under which a model without a version holds requests; versions start at 1."""
    return names.version_name(model, 0)


def pending_route(obj: Json, default_exposure: Exposure) -> Route:
    """Return the route of a model that has none yet: requests are held, by the bounds of its spec.

    A field that the spec lacks, or that has an odd value, gets its default.
    """
    spec = _mapping(obj.get("spec"))
    traffic, hold = (
        _mapping(spec.get("traffic")),
        _mapping(_mapping(spec.get("scaling")).get("hold")),
    )
    status = {
        "revision": 0,
        "weights": [{"version": pending_version(obj["metadata"]["name"]), "weight": 100}],
        "hold": hold if spec.get("replicas") != 0 else {"maxSeconds": 1},
        "exposure": default_exposure,
        **{key: traffic[key] for key in _ROUTED if traffic.get(key) is not None},
    }
    try:
        route = Route.from_status(status)
        return route if is_servable(route) else _held(obj, default_exposure)
    except (KeyError, TypeError, AttributeError):
        return _held(obj, default_exposure)


_ROUTED = (
    "requestTimeoutSeconds",
    "idempotent",
    "maxReplayBytes",
    "exposure",
    "uncounted",
    "upgrades",
)


def _held(obj: Json, exposure: Exposure) -> Route:
    version = pending_version(obj["metadata"]["name"])
    return Route(0, (RouteWeight(version, 100),), exposure=exposure)


def _mapping(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def fault_of(obj: Json) -> str:
    """Return the reason of `Stalled=True`; empty when waiting may help."""
    conditions = _mapping(obj.get("status")).get("conditions")
    for condition in map(_mapping, conditions if isinstance(conditions, list) else []):
        if condition.get("type") == "Stalled" and condition.get("status") == "True":
            return str(condition.get("reason") or "")
    return ""


def is_servable(route: Route) -> bool:
    """Return whether some version gets the traffic, and Envoy accepts every number."""
    weights = [share.weight for share in route.weights]
    return (
        sum(weights) > 0
        and min(weights) >= 0
        and len(set(route.versions)) == len(weights)
        and route.request_timeout_seconds > 0
        and route.hold_max_seconds >= 0
        and route.burst_seconds > 0
        and route.overload_seconds > 0
        and route.max_replay_bytes >= 0
    )


def read_version(obj: Json) -> VersionView | None:
    """Return the view of a version; None when its spec cannot be read."""
    try:
        return VersionView.from_spec(obj["spec"])
    except (KeyError, TypeError) as error:
        log.warning("version unreadable", version=obj["metadata"]["name"], error=repr(error))
        return None
