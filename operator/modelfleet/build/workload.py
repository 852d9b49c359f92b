"""Deployment, Services and budget of a model, from frozen versions.

`model.wanted_objects` compares them with the live objects. Must never put `replicas` into a
manifest for server-side apply. Replicas have their own request, and an apply without them would
start one pod.
"""

from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.build.metadata import labels, owned_by_model
from modelfleet.build.pod import resolve_pod_spec
from modelfleet.facts.identity import Key
from modelfleet.facts.model import Defaults

MAX_EVICTED = "25%"
"""Share of the replicas that may be evicted at once; Kubernetes rounds up."""


def deployment(
    key: Key, uid: str, version: str, template: Mapping[str, Any], startup_seconds: int
) -> dict[str, Any]:
    """Return the Deployment of one version, without replicas."""
    selector = {**labels(key.name, version), names.LABEL_ROLE: names.ROLE_REPLICA}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": owned_by_model(key, uid, version, version),
        "spec": {
            "selector": {"matchLabels": selector},
            "template": dict(template),
            "revisionHistoryLimit": 0,
            "paused": False,
            "progressDeadlineSeconds": startup_seconds + 60,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
        },
    }


def version_service(key: Key, uid: str, version: str, spec: MLModelVersionSpec) -> dict[str, Any]:
    """Return the headless Service whose EndpointSlices the gateways read; drained pods leave it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned_by_model(key, uid, version, version),
        "spec": {
            "clusterIP": "None",
            "selector": {
                **labels(key.name, version),
                names.LABEL_ROLE: names.ROLE_REPLICA,
                names.LABEL_IN_SERVICE: names.IN_SERVICE,
            },
            "ports": [
                {
                    "name": "serve",
                    "port": spec.port,
                    "targetPort": spec.port,
                    "protocol": "TCP",
                }
            ],
        },
    }


def disruption_budget(key: Key, uid: str) -> dict[str, Any]:
    """Return the budget of evictions: a quarter of a model's replicas, at least one at a time."""
    selector = {**labels(key.name), names.LABEL_ROLE: names.ROLE_REPLICA}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owned_by_model(key, uid, names.budget_name(key.name)),
        "spec": {
            "maxUnavailable": MAX_EVICTED,
            "selector": {"matchLabels": selector},
            # A replica that is broken, or still loads, must never hold up the drain of a node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def model_service(key: Key, uid: str, defaults: Defaults) -> dict[str, Any]:
    """Return the Service with the model's name: an alias of the gateway, without a port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned_by_model(key, uid, key.name),
        "spec": {"type": "ExternalName", "externalName": defaults.gateway_host},
    }


def resolve_pod(
    key: Key, uid: str, source: str, *, spec: MLModelSpec, digest: str | None, defaults: Defaults
) -> dict[str, Any]:
    """Return the one-shot pod that reports the digest of the artifact of a source."""
    metadata = owned_by_model(key, uid, f"{key.name}-resolve-{source.rsplit('-', 1)[-1][:8]}")
    metadata["labels"][names.LABEL_ROLE] = names.ROLE_RESOLVE
    metadata["annotations"] = {names.ANNOTATION_SOURCE: source}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": resolve_pod_spec(spec, digest, defaults),
    }
