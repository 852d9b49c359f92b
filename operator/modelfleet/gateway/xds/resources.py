"""Envoy resources as immutable values with a version that depends on their content only.

`xds.builders` makes them, `xds.push_order` stores them, `xds.stream` sends them. A restarted agent
builds the same bytes, so Envoy does not get again what it has. Must never depend on models or
Kubernetes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# ParseDict resolves `@type` in the descriptor pool: the imports register the messages.
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.clusters.aggregate.v3 import cluster_pb2 as _aggregate
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as _sharing
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2 as _previous_hosts
from envoy.extensions.retry.priority.previous_priorities.v3 import (
    previous_priorities_config_pb2 as _previous_priorities,
)
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as _protocol
from google.protobuf import any_pb2, json_format

REGISTERED = (_aggregate, _sharing, _previous_hosts, _previous_priorities, _protocol)

TYPE_PREFIX: Final = "type.googleapis.com/"
CLUSTER: Final = TYPE_PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINTS: Final = TYPE_PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTES: Final = TYPE_PREFIX + "envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST: Final = TYPE_PREFIX + "envoy.config.route.v3.VirtualHost"

PUSH_TYPES: Final = (CLUSTER, ENDPOINTS, ROUTES, VIRTUAL_HOST)
"""Every type that the agent serves, in the order in which they are looked at."""

_CLASSES: Final[Mapping[str, Any]] = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
    ROUTES: route_pb2.RouteConfiguration,
    VIRTUAL_HOST: route_components_pb2.VirtualHost,
}


@dataclass(frozen=True, slots=True)
class EnvoyResource:
    """One Envoy resource.

    `needs`: clusters that a virtual host sends to. `needs_endpoints`: those of them that also need
    their endpoints before the host may be pushed. `addresses`: the addresses in an endpoint
    resource.
    """

    kind: str
    name: str
    version: str
    body: bytes
    owner: str = ""
    needs: frozenset[str] = field(default_factory=frozenset)
    needs_endpoints: frozenset[str] = field(default_factory=frozenset)
    addresses: tuple[str, ...] = ()

    @property
    def as_any(self) -> Any:
        """The protobuf Any of a discovery response."""
        return any_pb2.Any(type_url=self.kind, value=self.body)


def pack(kind: str, name: str, content: Any, **about: Any) -> EnvoyResource:
    """Return a resource from its JSON form (a mapping) or its message.

    `about` are fields of EnvoyResource. Raises `json_format.ParseError` when a field does not
    exist: a bug, found by any test.
    """
    message = content
    if isinstance(content, Mapping):
        message = json_format.ParseDict(dict(content), _CLASSES[kind]())
    body = message.SerializeToString(deterministic=True)
    version = hashlib.blake2b(body, digest_size=8).hexdigest()
    return EnvoyResource(kind, name, version, body, **about)
