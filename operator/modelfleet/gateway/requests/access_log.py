"""Envoy's access log over gRPC: receives the entries and counts them.

`agent` serves it on the same socket as discovery; `requests.counters` stores the counts. A request
has three entries: an attempt reached a host, an attempt ended, the request ended. The entry at the
request's start is not used: Envoy writes it before it has chosen a version. Must stay cheap, and
never store an entry.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from modelfleet.facts.identity import endpoint_of
from modelfleet.gateway import envoy_names
from modelfleet.gateway.requests.counters import Counter, TrafficCounters

SERVICE = "envoy.service.accesslog.v3.AccessLogService"

_ATTEMPT_BEGAN: Final = accesslog_pb2.AccessLogType.Value("UpstreamPoolReady")
_ATTEMPT_ENDED: Final = accesslog_pb2.AccessLogType.Value("UpstreamEnd")
_REQUEST_ENDED: Final = accesslog_pb2.AccessLogType.Value("DownstreamEnd")
_CLASSES: Final = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_SERVER_ERROR: Final = 5
FIRST: Final = "1"


class AccessLog:
    """The gRPC service."""

    def __init__(self, traffic: TrafficCounters) -> None:
        """Counts go to `traffic`."""
        self._traffic = traffic
        self._by_cluster: dict[tuple[str, str], Counter] = {}
        self._readers = {
            _ATTEMPT_BEGAN: self._attempt_began,
            _ATTEMPT_ENDED: self._attempt_ended,
            _REQUEST_ENDED: self._request_ended,
        }

    def register(self, server: Any) -> None:
        """Add the service to a gRPC server."""
        handler = grpc.stream_unary_rpc_method_handler(
            self.stream,
            request_deserializer=als_pb2.StreamAccessLogsMessage.FromString,
            response_serializer=als_pb2.StreamAccessLogsResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"StreamAccessLogs": handler}),)
        )

    async def stream(self, messages: AsyncIterator[Any], _context: Any) -> Any:
        """Read the messages of one worker of Envoy until its stream ends."""
        async for message in messages:
            self.read(message)
        return als_pb2.StreamAccessLogsResponse()

    def read(self, message: Any) -> None:
        """Count all entries of a message."""
        entries = message.http_logs.log_entry
        self._traffic.entries += len(entries)
        for entry in entries:
            common = entry.common_properties
            reader = self._readers.get(common.access_log_type)
            if reader is not None:
                reader(entry, common)

    def forget(self) -> None:
        """Look all counters up again: some were dropped."""
        self._by_cluster.clear()

    def _counter(self, entry: Any, common: Any) -> tuple[Counter | None, bool]:
        """Return the version's counter, and whether the holder was the upstream."""
        cluster = common.upstream_cluster
        model = common.route_name
        if cluster == envoy_names.HOLDER_CLUSTER or not cluster:
            version = entry.request.request_headers.get(envoy_names.HEADER_VERSION, "")
            if not version:
                return None, True
            return self._traffic.counter(model, version), True
        counter = self._by_cluster.get((model, cluster))
        if counter is None:
            # `namespace/version` or `namespace/version/pods`
            version = cluster.split("/")[1] if "/" in cluster else cluster
            counter = self._by_cluster[model, cluster] = self._traffic.counter(model, version)
        return counter, False

    def _uncounted(self, common: Any) -> Counter:
        """Return the counter of the version that answers a request that does not count."""
        model = common.route_name.removesuffix(envoy_names.UNCOUNTED)
        return self._traffic.counter(model, common.upstream_cluster.split("/")[1])

    def _attempt_began(self, entry: Any, common: Any) -> None:
        if common.route_name.endswith(envoy_names.UNCOUNTED):
            self._uncounted(common).begin(_endpoint(common), is_counted=False)
            return
        counter, is_held = self._counter(entry, common)
        if counter is None:
            return
        if entry.request.request_headers.get(envoy_names.HEADER_ATTEMPT, "") == FIRST:
            counter.arrivals += 1
        if not is_held:
            counter.begin(_endpoint(common))

    def _attempt_ended(self, entry: Any, common: Any) -> None:
        if common.route_name.endswith(envoy_names.UNCOUNTED):
            if common.upstream_remote_address.socket_address.port_value:
                self._uncounted(common).end(_endpoint(common), is_counted=False)
            return
        counter, is_held = self._counter(entry, common)
        if counter is None:
            return
        headers = entry.request.request_headers
        attempt = headers.get(envoy_names.HEADER_ATTEMPT, "")
        flags = common.response_flags if common.HasField("response_flags") else None
        is_refused = flags is not None and flags.upstream_overflow
        never_began = flags is not None and (
            flags.upstream_connection_failure or flags.no_healthy_upstream
        )
        if never_began or is_refused:
            if attempt == FIRST:
                counter.arrivals += 1
            counter.failed_attempts += never_began and not is_held
            self._traffic.failed.never_arrived(*_request(headers))
            return
        if is_held:
            return
        endpoint = _endpoint(common)
        counter.end(endpoint)
        if flags is not None:
            self._attempt_failed(counter, flags, endpoint, entry)

    def _attempt_failed(self, counter: Counter, flags: Any, endpoint: str, entry: Any) -> None:
        failed, request = self._traffic.failed, _request(entry.request.request_headers)
        if flags.stream_idle_timeout or flags.upstream_request_timeout:
            # The request may end at the holder, which does not know how long the replica worked.
            counter.count_service(_seconds(entry.common_properties.duration))
            failed.was_silent(*request, endpoint)
        elif flags.upstream_connection_termination or flags.upstream_protocol_error:
            # Within the head of an answer Envoy takes a broken connection for a wrong protocol.
            counter.failed_attempts += 1
            failed.broke(*request, endpoint)
        elif flags.upstream_remote_reset:
            counter.failed_attempts += 1
            failed.was_reset(*request, endpoint)

    def _request_ended(self, entry: Any, common: Any) -> None:
        if not common.route_name or common.route_name == envoy_names.UNKNOWN:
            self._traffic.unknown += 1
            return
        if common.route_name.endswith(envoy_names.UNCOUNTED):
            self._traffic.uncounted[common.route_name.removesuffix(envoy_names.UNCOUNTED)] += 1
            return
        if common.route_name in self._traffic.watched:
            client = common.downstream_remote_address.socket_address.address
            self._traffic.count_client(common.route_name, client)
        if common.response_flags.rate_limited:
            self._traffic.count_early_refusal(common.route_name)
            return
        counter, is_held = self._counter(entry, common)
        if counter is None:
            self._traffic.unknown += 1
            return
        if common.response_flags.upstream_overflow:
            counter.refused += 1
        begun = _seconds(common.time_to_first_upstream_tx_byte)
        if is_held or not common.HasField("time_to_first_upstream_tx_byte"):
            counter.complete(_outcome(entry, common), None, _seconds(common.duration))
            return
        if common.response_flags.upstream_request_timeout:
            counter.complete(_outcome(entry, common), None, begun)
            return
        ended = _seconds(common.time_to_last_downstream_tx_byte) or _seconds(common.duration)
        counter.complete(_outcome(entry, common), max(0.0, ended - begun), begun)


def _request(headers: Any) -> tuple[str, int]:
    """Return the request's id, and the number of the attempt."""
    attempt = headers.get(envoy_names.HEADER_ATTEMPT, "")
    return headers.get(envoy_names.HEADER_STREAM, ""), int(attempt) if attempt.isdigit() else 0


def _outcome(entry: Any, common: Any) -> str:
    code = entry.response.response_code.value // 100
    if common.HasField("response_flags"):
        flags = common.response_flags
        if flags.downstream_connection_termination:
            return "gone"
        is_cut = (
            flags.upstream_connection_termination
            or flags.upstream_remote_reset
            or flags.upstream_protocol_error
        )
        if is_cut and code != _SERVER_ERROR:
            return "reset"
    return _CLASSES.get(code, "gone")


def _seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos * 1e-9)


def _endpoint(common: Any) -> str:
    address = common.upstream_remote_address.socket_address
    host = address.address
    return endpoint_of(host, address.port_value)
