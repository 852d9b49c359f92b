"""Names inside a gateway pod: clusters, virtual hosts, hosts, private headers, sockets.

All of `gateway` uses them. Must stay pure. Names are for Envoy's logs and for people: code must
pass values, and never parse a name.
"""

from typing import Final

HEADER_MODEL: Final = "x-modelfleet-model"
HEADER_VERSION: Final = "x-modelfleet-version"
HEADER_STREAM: Final = "x-modelfleet-stream"
HEADER_BEGUN: Final = "x-modelfleet-begun"
HEADER_GATEWAY: Final = "x-modelfleet-gateway"
HEADER_ATTEMPT: Final = "x-envoy-attempt-count"
HEADER_RETRY: Final = "x-modelfleet-retry"
"""On an answer of the holder: Envoy sends the request again. It is removed before a client sees
it."""

RETRY_AFTER_SECONDS: Final = 5
TIMED_OUT: Final = "the replica sent nothing for traffic.requestTimeoutSeconds"
OUT_OF_MEMORY: Final = "this gateway has no memory for another request; try again later"
NO_REPLICA: Final = "no replica of the model is ready"
OVERLOADED: Final = (
    "the model is overloaded: this request would have waited longer than scaling.overload allows,"
    " or too many requests to this model are under way; try again later"
)

SHARE_FILTER: Final = "envoy.filters.http.local_ratelimit"
SHARE_TYPE: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"

ROUTES_CLUSTER: Final = "cluster"
ROUTES_EXTERNAL: Final = "external"
HOLDER_CLUSTER: Final = "holder"
UNKNOWN: Final = "unknown"
"""Name of the route that answers for hosts that no model has."""
UNCOUNTED: Final = "#uncounted"
"""End of the name of a model's routes for requests that do not count; no model's name ends so."""
AGENT_CLUSTER: Final = "agent"

DISCOVERY_SOCKET: Final = "ads.sock"
ADMIN_SOCKET: Final = "admin.sock"


def uncounted_route(model: str) -> str:
    """Return the name of the routes of a model (`namespace/name`) whose requests do not count."""
    return model + UNCOUNTED


def version_cluster(namespace: str, version: str) -> str:
    """Return the aggregate that routes send to; access logs contain this name, too."""
    return f"{namespace}/{version}"


def pods_cluster(namespace: str, version: str) -> str:
    """Return the cluster of the version's own replicas, a member of the aggregate."""
    return f"{namespace}/{version}/pods"


def virtual_host(routes: str, namespace: str, model: str) -> str:
    """Return the host's name; Envoy requires the route configuration's name before the slash."""
    return f"{routes}/{namespace}.{model}"


def cluster_hosts(namespace: str, model: str, cluster_domain: str) -> tuple[str, ...]:
    """Return the hosts by which clients in the cluster call a model."""
    base = f"{model}.{namespace}"
    return (base, f"{base}.svc", f"{base}.svc.{cluster_domain}")


def dotted_host(namespace: str, model: str, domain: str) -> str:
    """Return the host for clients outside that is always unambiguous."""
    return f"{model}.{namespace}.{domain}"


def dashed_host(namespace: str, model: str, domain: str) -> str:
    """Return the host with one label for one wildcard certificate; two models can claim it."""
    return f"{model}-{namespace}.{domain}"
