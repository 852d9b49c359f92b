"""Envoy's access log over gRPC: receives the entries and counts them.

`agent` serves it on the same socket as discovery; `requests.counters` stores the counts. A request
has three entries: an attempt reached a host, an attempt ended, the request ended. The entry at the
request's start is not used: Envoy writes it before it has chosen a version. Must stay cheap, and
never store an entry.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
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
MAX_ENDPOINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Target:
    """Subject of an entry; `counter` is None where no model has the host."""

    model: str
    counter: Counter | None
    is_held: bool
    is_counted: bool = True


_UNROUTED: Final = _Target("", None, is_held=True)


class AccessLog:
    """The gRPC service."""

    def __init__(self, traffic: TrafficCounters) -> None:
        """Counts go to `traffic`."""
        self._traffic = traffic
        self._targets: dict[tuple[str, str], _Target] = {}
        """By names of route and cluster; entries of the holder need a look at their headers."""
        self._endpoints: dict[tuple[str, int], str] = {}
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
        self._targets.clear()

    def _target(self, entry: Any, common: Any) -> _Target:
        """Return what an entry is about."""
        names = (common.route_name, common.upstream_cluster)
        target = self._targets.get(names)
        return self._new_target(entry, *names) if target is None else target

    def _new_target(self, entry: Any, route: str, cluster: str) -> _Target:
        if not route or route == envoy_names.UNKNOWN:
            return _UNROUTED
        model = route.removesuffix(envoy_names.UNCOUNTED)
        is_counted = model == route
        if cluster == envoy_names.HOLDER_CLUSTER or not cluster:
            version = entry.request.request_headers.get(envoy_names.HEADER_VERSION, "")
            counter = self._traffic.counter(model, version) if version and is_counted else None
            return _Target(model, counter, is_held=True, is_counted=is_counted)
        # `namespace/version` or `namespace/version/pods`
        version = cluster.split("/")[1] if "/" in cluster else cluster
        counter = self._traffic.counter(model, version)
        target = _Target(model, counter, is_held=False, is_counted=is_counted)
        self._targets[route, cluster] = target
        return target

    def _endpoint(self, common: Any) -> str:
        socket = common.upstream_remote_address.socket_address
        address = socket.address, socket.port_value
        endpoint = self._endpoints.get(address)
        if endpoint is None:
            if len(self._endpoints) >= MAX_ENDPOINTS:
                self._endpoints.clear()
            endpoint = self._endpoints[address] = endpoint_of(*address)
        return endpoint

    def _attempt_began(self, entry: Any, common: Any) -> None:
        target = self._target(entry, common)
        counter = target.counter
        if counter is None:
            return
        if target.is_counted and (
            entry.request.request_headers.get(envoy_names.HEADER_ATTEMPT, "") == FIRST
        ):
            counter.arrivals += 1
        if not target.is_held:
            counter.begin(self._endpoint(common), is_counted=target.is_counted)

    def _attempt_ended(self, entry: Any, common: Any) -> None:
        target = self._target(entry, common)
        counter = target.counter
        if counter is None:
            return
        if not common.HasField("response_flags"):  # as nearly all of them
            if not target.is_held:
                counter.end(self._endpoint(common), is_counted=target.is_counted)
            return
        flags, is_held = common.response_flags, target.is_held
        is_refused = flags.upstream_overflow
        never_began = flags.upstream_connection_failure or flags.no_healthy_upstream
        if never_began or is_refused:
            request = _request(entry.request.request_headers)
            if target.is_counted:
                counter.arrivals += request[1] == 1
                counter.failed_attempts += never_began and not is_held
            self._traffic.failed.never_arrived(*request)
        elif not is_held:
            endpoint = self._endpoint(common)
            counter.end(endpoint, is_counted=target.is_counted)
            if target.is_counted:
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
        target = self._target(entry, common)
        if not target.is_counted:
            self._traffic.uncounted[target.model] += 1
            return
        if target.model and target.model in self._traffic.watched:
            client = common.downstream_remote_address.socket_address.address
            self._traffic.count_client(target.model, client)
        flags = common.response_flags if common.HasField("response_flags") else None
        if flags is not None and flags.rate_limited and target.model:
            self._traffic.count_early_refusal(target.model)
            return
        counter = target.counter
        if counter is None:
            self._traffic.unknown += 1
            return
        if flags is not None and flags.upstream_overflow:
            counter.refused += 1
        outcome = _outcome(entry.response.response_code.value // 100, flags)
        if target.is_held or not common.HasField("time_to_first_upstream_tx_byte"):
            counter.complete(outcome, None, _seconds(common.duration))
            return
        begun = _seconds(common.time_to_first_upstream_tx_byte)
        if flags is not None and flags.upstream_request_timeout:
            counter.complete(outcome, None, begun)
            return
        ended = _seconds(common.time_to_last_downstream_tx_byte) or _seconds(common.duration)
        counter.complete(outcome, max(0.0, ended - begun), begun)


def _request(headers: Any) -> tuple[str, int]:
    """Return the request's id, and the number of the attempt."""
    attempt = headers.get(envoy_names.HEADER_ATTEMPT, "")
    return headers.get(envoy_names.HEADER_STREAM, ""), int(attempt) if attempt.isdigit() else 0


def _outcome(code: int, flags: Any) -> str:
    """Return the class of an answer; `code` is its first digit, `flags` is None without any."""
    if flags is not None:
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
    seconds: float = duration.seconds + duration.nanos * 1e-9
    return seconds
