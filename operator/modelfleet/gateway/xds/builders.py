"""(view of a model, site) -> Envoy resources. Pure: the whole behavior of the data plane is here.

`xds.resource_cache` calls and caches it. The rules of the data plane:

* A model without a replica holds requests and does not answer 503.
* Envoy retries failed attempts and replays the body.
* A replica is ejected only for failures of the gateway's own connections.
* The holders of the other gateways take over when the own holder fails.
* The request time-out bounds the silence of a replica, at each attempt; a hold has its own bound.

Must never look at the clock or at what Envoy has.
"""

from collections.abc import Mapping
from typing import Any, Final

from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from modelfleet.gateway import envoy_names
from modelfleet.gateway.bounds.listener_bounds import CONNECTION_BUFFER_BYTES
from modelfleet.gateway.watched.view import GatewaySite, ModelView, Protocol
from modelfleet.gateway.xds.actions import (
    counted_action,
    hidden_routes,
    overwritten,
    uncounted_routes,
)
from modelfleet.gateway.xds.resources import (
    CLUSTER,
    ENDPOINTS,
    ROUTES,
    TYPE_PREFIX,
    VIRTUAL_HOST,
    EnvoyResource,
    pack,
)

UNBOUNDED: Final = 1_000_000
"""Above any bound on holding: Envoy's default of 3 parallel retries would refuse requests that the
holder sends back."""
NEVER_SPILL: Final = 100_000
"""Overprovisioning factor (percent): traffic stays on healthy replicas while one is healthy."""
UPSTREAM_IDLE: Final = "1.5s"
"""Shorter than the keep-alive of common servers (gunicorn: 2 s), so the server never closes
first."""
OWN_WEIGHT, OTHER_WEIGHT = 10_000, 1
"""Weights in one priority, instead of two priorities. With two, `previous_priorities` would send a
request that failed at a replica and at the own holder to the other gateways for ever."""
MAX_FILLS_SECONDS: Final = 0.05
"""Envoy fills no bucket more often."""
MIN_SHARE: Final = 0.01
MAX_BUCKETS: Final = 10_000
"""Clients of one model with a bucket of their own. The client that has been silent longest loses
its bucket first."""
_ADS: Final = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
_TYPED = "@type"


def _breakers() -> dict[str, Any]:
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    limits = dict.fromkeys(names, UNBOUNDED)
    return {"thresholds": [{"priority": "DEFAULT", **limits}, {"priority": "HIGH", **limits}]}


def _outliers(failures: int) -> dict[str, Any]:
    """Count failures of our own connections only: an application's 500 must not eject a replica."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": failures,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "interval": "0.25s",
        "base_ejection_time": "0.5s",
        "max_ejection_time": "2s",
        "max_ejection_percent": 100,
    }


def _protocol(protocol: Protocol, idle: str) -> dict[str, Any]:
    explicit: dict[str, Any] = {"http_protocol_options": {}}
    if protocol != "HTTP1":
        explicit = {"http2_protocol_options": {}}
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            _TYPED: TYPE_PREFIX + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"idle_timeout": idle},
            "explicit_http_config": explicit,
        }
    }


def _discovered(name: str, protocol: Protocol, idle: str, failures: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _ADS},
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "circuit_breakers": _breakers(),
        "outlier_detection": _outliers(failures),
        # By default Envoy collects ejections for a second: ten retries are over by then.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "typed_extension_protocol_options": _protocol(protocol, idle),
    }


def build_pods_cluster(name: str, protocol: Protocol, owner: str = "") -> EnvoyResource:
    """Return the cluster of one version's replicas; TCP, not a time-out, detects a dead node."""
    content = _discovered(name, protocol, UPSTREAM_IDLE, 3)
    content["lb_policy"] = "LEAST_REQUEST"
    content["upstream_connection_options"] = {
        "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 10, "keepalive_interval": 5}
    }
    return pack(CLUSTER, name, content, owner=owner)


def build_version_cluster(name: str, members: tuple[str, ...], owner: str = "") -> EnvoyResource:
    """Return an aggregate: the first member that has a living host gets the request."""
    content = {
        "name": name,
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": _breakers(),
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                _TYPED: TYPE_PREFIX + "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": list(members),
            },
        },
    }
    return pack(CLUSTER, name, content, owner=owner)


def holder_cluster() -> EnvoyResource:
    """Return all holders in one priority: the own one by weight, the others once it fails."""
    content = _discovered(envoy_names.HOLDER_CLUSTER, "HTTP1", "60s", 1)
    content["lb_policy"] = "ROUND_ROBIN"
    return pack(CLUSTER, envoy_names.HOLDER_CLUSTER, content)


def _host(address: str) -> Any:
    host, _, port = address.rpartition(":")
    message = endpoint_components_pb2.LbEndpoint()
    socket = message.endpoint.address.socket_address
    socket.address, socket.port_value = host.strip("[]"), int(port)
    return message


def endpoints(name: str, addresses: tuple[str, ...], owner: str = "") -> EnvoyResource:
    """Return the endpoints of a cluster; built without JSON, since they change most often."""
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    message.policy.overprovisioning_factor.value = NEVER_SPILL
    if addresses:
        message.endpoints.add().lb_endpoints.extend(_host(address) for address in addresses)
    return pack(ENDPOINTS, name, message, owner=owner, addresses=addresses)


def holder_endpoints(own: str, others: tuple[str, ...]) -> EnvoyResource:
    """Return the own holder, and those of the other gateways for when it fails."""
    name = envoy_names.HOLDER_CLUSTER
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    message.policy.overprovisioning_factor.value = NEVER_SPILL
    group = message.endpoints.add()
    for address in (own, *others):
        host = _host(address)
        host.load_balancing_weight.value = OWN_WEIGHT if address == own else OTHER_WEIGHT
        group.lb_endpoints.append(host)
    return pack(ENDPOINTS, name, message, addresses=(own, *others))


def build_virtual_host(view: ModelView, routes: str, site: GatewaySite) -> EnvoyResource:
    """Return the virtual host of the model on one listener."""
    name = envoy_names.virtual_host(routes, view.namespace, view.name)
    content: Mapping[str, Any] = {
        "name": name,
        "domains": list(hosts(view, routes, site)),
        "include_request_attempt_count": True,
        "request_body_buffer_limit": view.route.max_replay_bytes,
        "request_headers_to_add": [
            overwritten(envoy_names.HEADER_MODEL, view.key),
            overwritten(envoy_names.HEADER_GATEWAY, site.gateway),
            overwritten(envoy_names.HEADER_STREAM, "%UNIQUE_ID%"),
            overwritten(envoy_names.HEADER_BEGUN, "%START_TIME(%s.%3f)%"),
        ],
        "response_headers_to_remove": [envoy_names.HEADER_RETRY],
        "routes": [
            *(hidden_routes() if routes == envoy_names.ROUTES_EXTERNAL else ()),
            *uncounted_routes(view),
            {"name": view.key, "match": {"prefix": "/"}, "route": counted_action(view)},
        ],
    }
    if view.share is not None:
        content = {
            **content,
            "typed_per_filter_config": {envoy_names.SHARE_FILTER: sharing(view.share)},
        }
    sent = [share.version for share in view.route.weights if share.weight > 0]
    pods = frozenset(envoy_names.pods_cluster(view.namespace, version) for version in sent)
    fronts = frozenset(envoy_names.version_cluster(view.namespace, version) for version in sent)
    with_endpoints = pods | {envoy_names.HOLDER_CLUSTER}
    return pack(
        VIRTUAL_HOST,
        name,
        content,
        owner=view.key,
        needs=fronts | with_endpoints,
        needs_endpoints=with_endpoints,
    )


def sharing(requests_per_second: float) -> dict[str, Any]:
    """Return a token bucket for each client address; a client may use what it saved in a second.

    Buckets take whole tokens, so a slow bucket gets one token at a longer interval.
    """
    tokens = max(1, round(requests_per_second))
    seconds = max(MAX_FILLS_SECONDS, tokens / max(requests_per_second, MIN_SHARE))
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        _TYPED: TYPE_PREFIX + envoy_names.SHARE_TYPE,
        "stat_prefix": "share",
        "status": {"code": 503},
        "filter_enabled": always,
        "filter_enforced": always,
        # No limit on all clients together here: the bound on requests under way does that.
        "token_bucket": {
            "max_tokens": UNBOUNDED,
            "tokens_per_fill": UNBOUNDED,
            "fill_interval": f"{MAX_FILLS_SECONDS}s",
        },
        "rate_limits": [{"actions": [{"remote_address": {}}]}],
        "descriptors": [
            {
                # An empty value means: one bucket for each address.
                "entries": [{"key": "remote_address"}],
                "token_bucket": {
                    "max_tokens": tokens + 1,
                    "tokens_per_fill": tokens,
                    "fill_interval": f"{seconds:.3f}s",
                },
            }
        ],
        "max_dynamic_descriptors": MAX_BUCKETS,
    }


def hosts(view: ModelView, routes: str, site: GatewaySite) -> tuple[str, ...]:
    """Return the hosts of a model on one listener."""
    if routes == envoy_names.ROUTES_CLUSTER:
        return envoy_names.cluster_hosts(view.namespace, view.name, site.cluster_domain)
    dotted = envoy_names.dotted_host(view.namespace, view.name, site.domain)
    if not view.has_dashed_host:
        return (dotted,)
    return (dotted, envoy_names.dashed_host(view.namespace, view.name, site.domain))


def members(view: ModelView, version: str) -> tuple[str, ...]:
    """Return the clusters behind a version, in order.

    A version that gets new requests has only its own replicas and the holder: the stable version
    must not hide a dead candidate. For a version of weight 0, the versions that serve now also
    answer its held requests.
    """
    own = envoy_names.pods_cluster(view.namespace, version)
    if view.route.weight_of(version) > 0:
        return (own, envoy_names.HOLDER_CLUSTER)
    served = sorted(
        (share for share in view.route.weights if share.weight > 0),
        key=lambda share: (-share.weight, share.version),
    )
    others = (envoy_names.pods_cluster(view.namespace, share.version) for share in served)
    return (own, *others, envoy_names.HOLDER_CLUSTER)


def route_configuration(routes: str) -> EnvoyResource:
    """Return one listener's routes; its virtual hosts come one by one (VHDS)."""
    return pack(ROUTES, routes, {"name": routes, "vhds": {"config_source": _ADS}})


def unknown_host(routes: str, site: GatewaySite) -> EnvoyResource:
    """Return the answer for hosts that no model has.

    It comes by VHDS, too: Envoy opens a listener only after it got a virtual host that way.
    """
    if routes == envoy_names.ROUTES_CLUSTER:
        forms = list(envoy_names.cluster_hosts("<namespace>", "<model>", site.cluster_domain))
    else:
        forms = [
            envoy_names.dotted_host("<namespace>", "<model>", site.domain),
            envoy_names.dashed_host("<namespace>", "<model>", site.domain),
        ]
    known_hosts = ", ".join(f'"{form}"' for form in forms)
    text = f'{{"error": "no model is served under this host", "hosts": [{known_hosts}]}}\n'
    name = f"{routes}/{envoy_names.UNKNOWN}"
    content = {
        "name": name,
        "domains": ["*"],
        "response_headers_to_add": [overwritten("content-type", "application/json")],
        "routes": [
            {
                "name": envoy_names.UNKNOWN,
                "match": {"prefix": "/"},
                "direct_response": {"status": 404, "body": {"inline_string": text}},
            }
        ],
    }
    return pack(VIRTUAL_HOST, name, content)
