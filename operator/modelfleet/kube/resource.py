"""Kinds of the API server that modelfleet reads or writes, and their paths.

All of `kube` and `compose` use them. Values only.
"""

from dataclasses import dataclass

from modelfleet.api import names


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind with its path in the API."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """Return the URL path of the collection or of one object, or of its sub-resource."""
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        parts = [root]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if sub:
            parts.append(sub)
        return "/".join(parts)


MODELS = ResourceKind(names.API_VERSION, names.MODEL_KIND, names.MODEL_PLURAL)
VERSIONS = ResourceKind(names.API_VERSION, names.VERSION_KIND, names.VERSION_PLURAL)
DEPLOYMENTS = ResourceKind("apps/v1", "Deployment", "deployments")
SERVICES = ResourceKind("v1", "Service", "services")
PODS = ResourceKind("v1", "Pod", "pods")
BUDGETS = ResourceKind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
SECRETS = ResourceKind("v1", "Secret", "secrets")
CONFIG_MAPS = ResourceKind("v1", "ConfigMap", "configmaps")
EVENTS = ResourceKind("events.k8s.io/v1", "Event", "events")
LEASES = ResourceKind("coordination.k8s.io/v1", "Lease", "leases")
ENDPOINT_SLICES = ResourceKind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")

BY_KIND = {
    resource.kind: resource for resource in (MODELS, VERSIONS, DEPLOYMENTS, SERVICES, PODS, BUDGETS)
}
