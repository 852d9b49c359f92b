"""Kubernetes objects as the agent's watches would bring them.

Used by the gateway tests, pure ones and those with a real Envoy.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modelfleet.facts.route import Route, RouteWeight

NAMESPACE = "team-a"
GATEWAYS = "modelfleet-system"


def route(revision: int, weights: Mapping[str, int], **more: Any) -> Route:
    """A route that hands out `weights`."""
    return Route(revision, tuple(RouteWeight(v, w) for v, w in weights.items()), **more)


def a_model(
    name: str, asked: Route | None = None, *, uid: str = "u-1", namespace: str = NAMESPACE
) -> dict[str, Any]:
    """An MLModel; without a route its status is empty."""
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "status": {} if asked is None else {"route": {**asked.to_status(), "confirmed": False}},
    }


def a_version(
    model: str,
    number: int,
    *,
    is_probed: bool = False,
    protocol: str = "HTTP1",
    namespace: str = NAMESPACE,
) -> dict[str, Any]:
    """An MLModelVersion."""
    probe = {"protocol": "OpenInferenceV2", "model": model, "timeoutSeconds": 1}
    return {
        "metadata": {"name": f"{model}-v{number}", "namespace": namespace},
        "spec": {
            "model": model,
            "number": number,
            "port": 8000,
            "protocol": protocol,
            **({"probe": probe} if is_probed else {}),
        },
    }


def a_slice(
    model: str,
    number: int,
    addresses: Iterable[str],
    *,
    port: int = 8000,
    namespace: str = NAMESPACE,
    **conditions: bool,
) -> dict[str, Any]:
    """The EndpointSlice of a version."""
    version = f"{model}-v{number}"
    return {
        "metadata": {
            "name": f"{version}-abc",
            "namespace": namespace,
            "labels": {"modelfleet.dev/model": model, "modelfleet.dev/version": version},
        },
        "ports": [{"port": port}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, **conditions},
                "targetRef": {"kind": "Pod", "name": f"pod-{address}"},
            }
            for address in addresses
        ],
    }


def gateway_slice(gateways: Mapping[str, str]) -> dict[str, Any]:
    """The EndpointSlice of the gateway Service: pod name to address."""
    return {
        "metadata": {
            "name": "modelfleet-gateway-xyz",
            "namespace": GATEWAYS,
            "labels": {"kubernetes.io/service-name": "modelfleet-gateway"},
        },
        "ports": [{"port": 8081}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": name},
            }
            for name, address in gateways.items()
        ],
    }
