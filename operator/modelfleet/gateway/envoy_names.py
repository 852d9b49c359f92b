"""The names inside a gateway pod: clusters, virtual hosts, hosts, private headers, sockets.

Called by everything in `gateway`. Must stay pure, and never parse a name where a value can be
carried instead: names are for Envoy's logs and for people.
"""

from typing import Final

HEADER_MODEL: Final = "x-modelfleet-model"
HEADER_VERSION: Final = "x-modelfleet-version"
HEADER_STREAM: Final = "x-modelfleet-stream"
HEADER_BEGUN: Final = "x-modelfleet-begun"
HEADER_GATEWAY: Final = "x-modelfleet-gateway"
HEADER_ATTEMPT: Final = "x-envoy-attempt-count"
HEADER_RETRY: Final = "x-modelfleet-retry"
"""On an answer of the holder: Envoy sends the request again. Never seen by a client."""

RETRY_AFTER_SECONDS: Final = 5
OVERLOADED: Final = (
    "the model is overloaded: this request would have waited longer than scaling.overload allows;"
    " try again later"
)

SHARE_FILTER: Final = "envoy.filters.http.local_ratelimit"
SHARE_TYPE: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"

ROUTES_CLUSTER: Final = "cluster"
ROUTES_EXTERNAL: Final = "external"
HOLDER_CLUSTER: Final = "holder"
UNKNOWN: Final = "unknown"
"""Name of the route that answers for hosts nobody has."""
AGENT_CLUSTER: Final = "agent"

DISCOVERY_SOCKET: Final = "ads.sock"
ADMIN_SOCKET: Final = "admin.sock"


def version_cluster(namespace: str, version: str) -> str:
    """The aggregate that routes send to; also what access logs name."""
    return f"{namespace}/{version}"


def pods_cluster(namespace: str, version: str) -> str:
    """The version's own replicas, a member of the aggregate."""
    return f"{namespace}/{version}/pods"


def virtual_host(routes: str, namespace: str, model: str) -> str:
    """Envoy matches the part before the last slash with the route configuration's name."""
    return f"{routes}/{namespace}.{model}"


def cluster_hosts(namespace: str, model: str, cluster_domain: str) -> tuple[str, ...]:
    """Hosts by which clients in the cluster call a model."""
    base = f"{model}.{namespace}"
    return (base, f"{base}.svc", f"{base}.svc.{cluster_domain}")


def dotted_host(namespace: str, model: str, domain: str) -> str:
    """The host from outside that is always unambiguous."""
    return f"{model}.{namespace}.{domain}"


def dashed_host(namespace: str, model: str, domain: str) -> str:
    """One label, for a single wildcard certificate; two models can ask for the same one."""
    return f"{model}-{namespace}.{domain}"
