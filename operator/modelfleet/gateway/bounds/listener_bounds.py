"""Bounds of one gateway's listeners and memory, so that no tenant can shut out the others.

`bootstrap` writes them into Envoy's first configuration. Pure. Requests under way are bounded for
each model in `bounds.limits`, held bodies in `requests.holder`. Must never bound what the spec of a
model allows for one request.
"""

from dataclasses import dataclass
from typing import Any, Final

CONNECTION_BUFFER_BYTES: Final = 128 * 1024
"""What Envoy reads ahead of a slow reader, on each side. Bodies kept for a repetition are apart."""
STREAM_WINDOW_BYTES: Final = 256 * 1024
CONNECTION_WINDOW_BYTES: Final = 1024 * 1024
"""HTTP/2 flow control; Envoy's own 16 and 24 MiB would let one connection fill the memory."""
MAX_STREAMS: Final = 1000
IDLE_SECONDS: Final = 300
"""Longest life of a connection without a request, or with an answer that nobody reads."""
TRACKED_BYTES_LOG2: Final = 20
"""Streams with a MiB or more in buffers are tracked: those with most are ended first."""
SHORTEST_IDLE_SECONDS: Final = 10
_TYPE: Final = "type.googleapis.com/"


@dataclass(frozen=True, slots=True)
class ListenerBounds:
    """`connections`: most client connections of each listener. `heap_bytes`: Envoy's memory.

    0 means no bound.
    """

    connections: int = 0
    heap_bytes: int = 0


def protocol_options() -> dict[str, Any]:
    """Return the bounds of one client connection."""
    return {
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_SECONDS}s"},
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
        },
    }


def connection_limits(listeners: tuple[str, ...], bounds: ListenerBounds) -> dict[str, Any]:
    """Return runtime keys that bound each listener apart: outside cannot shut out inside."""
    if not bounds.connections:
        return {}
    prefix = "envoy.resource_limits.listener"
    return {f"{prefix}.{name}.connection_limit": bounds.connections for name in listeners}


def overload_manager(bounds: ListenerBounds) -> dict[str, Any]:
    """Return what Envoy gives up when its memory runs out, first what holds most of it."""
    monitor = "envoy.resource_monitors.fixed_heap"
    config = "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig"
    timers = "envoy.config.overload.v3.ScaleTimersOverloadActionConfig"
    idle = {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": f"{SHORTEST_IDLE_SECONDS}s"}

    def at(threshold: float) -> list[dict[str, Any]]:
        return [{"name": monitor, "threshold": {"value": threshold}}]

    def between(low: float, high: float) -> list[dict[str, Any]]:
        scaled = {"scaling_threshold": low, "saturation_threshold": high}
        return [{"name": monitor, "scaled": scaled}]

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": monitor,
                "typed_config": {
                    "@type": _TYPE + config,
                    "max_heap_size_bytes": bounds.heap_bytes,
                },
            }
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": TRACKED_BYTES_LOG2},
        "actions": [
            {
                "name": "envoy.overload_actions.reduce_timeouts",
                "triggers": between(0.7, 0.9),
                "typed_config": {"@type": _TYPE + timers, "timer_scale_factors": [idle]},
            },
            {
                "name": "envoy.overload_actions.reset_high_memory_stream",
                "triggers": between(0.8, 0.95),
            },
            {"name": "envoy.overload_actions.shrink_heap", "triggers": at(0.85)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": at(0.97)},
        ],
    }
