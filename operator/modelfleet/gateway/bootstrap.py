"""The configuration that Envoy starts with: listeners, the agent's socket, the heap limit.

`modelfleet envoy-bootstrap` writes it in the pod, whose kernel says which addresses there are.
Everything about models comes later by discovery, from `xds.stream`. While the agent does not answer
at the start, Envoy waits and is not ready.
"""

from dataclasses import dataclass, field
from typing import Any

from modelfleet.api import names
from modelfleet.gateway import envoy_names
from modelfleet.gateway.bounds.listener_bounds import (
    CONNECTION_BUFFER_BYTES,
    ListenerBounds,
    connection_limits,
    overload_manager,
    protocol_options,
)
from modelfleet.gateway.requests.hold_times import FLUSH_SECONDS
from modelfleet.listening import EVERY_IPV6, every_address

_T = "type.googleapis.com/"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ALS = "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"

LOG_BUFFER_BYTES = 1024 * 1024
"""Above what a thread of Envoy logs within one interval, so that only the interval counts."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Addresses on which Envoy listens; an empty one is every one of the pod.

    `trusted_hops`: proxies before the external
    listener whose word about the client is believed.
    """

    address: str = ""
    cluster_port: int = names.PORT_CLUSTER
    external_port: int = names.PORT_EXTERNAL
    bounds: ListenerBounds = field(default_factory=ListenerBounds)
    trusted_hops: int = 0


def bootstrap(node_id: str, run_dir: str, listening: Listening | None = None) -> dict[str, Any]:
    """Return Envoy's bootstrap as JSON; `node_id` is the gateway pod's name."""
    where = listening or Listening()
    content: dict[str, Any] = {
        "node": {"id": node_id, "cluster": names.GATEWAY_NAME},
        "admin": {
            "address": {"pipe": {"path": f"{run_dir}/{envoy_names.ADMIN_SOCKET}", "mode": 0o660}}
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": envoy_names.AGENT_CLUSTER,
                            "retry_policy": {
                                "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}
                            },
                        }
                    }
                ],
            },
            "cds_config": _ads(),
        },
        "static_resources": {
            "clusters": [_agent(f"{run_dir}/{envoy_names.DISCOVERY_SOCKET}")],
            "listeners": [
                # Pods reach this one without a proxy, and could claim to be anybody.
                _listener(envoy_names.ROUTES_CLUSTER, _at(where, where.cluster_port), 0),
                _listener(
                    envoy_names.ROUTES_EXTERNAL,
                    _at(where, where.external_port),
                    where.trusted_hops,
                ),
            ],
        },
    }
    # The agent bounds requests under way by runtime keys: no cluster has to be built again.
    listeners = (envoy_names.ROUTES_CLUSTER, envoy_names.ROUTES_EXTERNAL)
    bounds = {"name": "bounds", "static_layer": connection_limits(listeners, where.bounds)}
    content["layered_runtime"] = {"layers": [bounds, {"name": "agent", "admin_layer": {}}]}
    if where.bounds.heap_bytes:
        content["overload_manager"] = overload_manager(where.bounds)
    return content


def _ads() -> dict[str, Any]:
    # With Envoy's default of 15 s it would start without clusters when the agent is late.
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _agent(socket: str) -> dict[str, Any]:
    return {
        "name": envoy_names.AGENT_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _T + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": envoy_names.AGENT_CLUSTER,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": socket}}}}]}
            ],
        },
    }


def _access_log(*headers: str) -> dict[str, Any]:
    return {
        "name": "envoy.access_loggers.http_grpc",
        "typed_config": {
            "@type": _T + _ALS,
            "additional_request_headers_to_log": list(headers),
            "common_config": {
                "log_name": "requests",
                "transport_api_version": "V3",
                # Each message costs the agent 50 times as much as each entry in it.
                "buffer_flush_interval": f"{FLUSH_SECONDS}s",
                "buffer_size_bytes": LOG_BUFFER_BYTES,
                "grpc_service": {"envoy_grpc": {"cluster_name": envoy_names.AGENT_CLUSTER}},
            },
        },
    }


def _at(where: Listening, port: int) -> dict[str, Any]:
    address = where.address or every_address()
    both = {"ipv4_compat": True} if address == EVERY_IPV6 else {}
    return {"socket_address": {"address": address, "port_value": port, **both}}


def _listener(routes: str, address: dict[str, Any], trusted_hops: int) -> dict[str, Any]:
    router = {
        "@type": _T + _ROUTER,
        "suppress_envoy_headers": True,
        "upstream_log": [
            _access_log(
                envoy_names.HEADER_VERSION, envoy_names.HEADER_STREAM, envoy_names.HEADER_ATTEMPT
            )
        ],
        "upstream_log_options": {"flush_upstream_log_on_upstream_stream": True},
    }
    manager = {
        "@type": _T + _HCM,
        "stat_prefix": routes,
        "codec_type": "AUTO",
        "http_protocol_options": {"accept_http_10": True},
        "strip_any_host_port": True,
        "strip_trailing_host_dot": True,
        "use_remote_address": True,
        "xff_num_trusted_hops": trusted_hops,
        # No client may set Envoy's control headers (timeouts, retries).
        "internal_address_config": {
            "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]
        },
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        # The idle time-out of each route bounds bodies; it does not bound headers, this does.
        "stream_idle_timeout": "0s",
        **protocol_options(),
        "request_headers_timeout": "30s",
        "rds": {"route_config_name": routes, "config_source": _ads()},
        "local_reply_config": _refusal(),
        "access_log": [_access_log(envoy_names.HEADER_VERSION)],
        "http_filters": [
            # Without a bucket of a virtual host this filter passes every request.
            {"name": envoy_names.SHARE_FILTER, "typed_config": _sharing()},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    }
    return {
        "name": routes,
        "address": address,
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def _sharing() -> dict[str, Any]:
    return {"@type": _T + envoy_names.SHARE_TYPE, "stat_prefix": "share"}


def _refusal() -> dict[str, Any]:
    """Return the answers that Envoy gives itself.

    To a request above a bound on requests under way (UO) or share (RL), to one for which the
    replica was silent for too long (UT), and to one that does not wait for a replica (UH, UF).
    """
    seconds = {"key": "retry-after", "value": str(envoy_names.RETRY_AFTER_SECONDS)}
    return {
        "mappers": [
            {
                "filter": {"response_flag_filter": {"flags": ["UO", "RL"]}},
                "headers_to_add": [
                    {"header": seconds, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ],
                "body_format_override": {
                    "json_format": {"error": envoy_names.OVERLOADED, "model": "%ROUTE_NAME%"}
                },
            },
            {
                "filter": {"response_flag_filter": {"flags": ["OM"]}},
                "headers_to_add": [
                    {"header": seconds, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ],
                "body_format_override": {"json_format": {"error": envoy_names.OUT_OF_MEMORY}},
            },
            {
                "filter": {"response_flag_filter": {"flags": ["UH", "UF"]}},
                "headers_to_add": [
                    {"header": seconds, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ],
                "body_format_override": {
                    "json_format": {"error": envoy_names.NO_REPLICA, "model": "%ROUTE_NAME%"}
                },
            },
            {
                "filter": {"response_flag_filter": {"flags": ["UT"]}},
                "body_format_override": {
                    "json_format": {"error": envoy_names.TIMED_OUT, "model": "%ROUTE_NAME%"}
                },
            },
        ]
    }
