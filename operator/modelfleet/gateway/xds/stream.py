"""Delta aggregated discovery for the Envoy of this pod, over a Unix socket.

`agent` serves it. One `PushOrder` decides for each stream; this module only carries messages. It
answers nothing before `open`: an empty answer would mean "delete everything". Must never build a
resource.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import grpc
import structlog
from envoy.service.discovery.v3 import discovery_pb2

from modelfleet.gateway.xds.desired import DesiredResources
from modelfleet.gateway.xds.push_order import PushOrder
from modelfleet.gateway.xds.resources import PUSH_TYPES, EnvoyResource
from modelfleet.gateway.xds.stream_state import Push

log = structlog.get_logger()

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"


class Listener(Protocol):
    """Receiver of Envoy's answers."""

    def accepted(self, order: PushOrder, push: Push) -> None:
        """Envoy acknowledged a whole response."""
        ...

    def refused(self, order: PushOrder, resource: EnvoyResource, reason: str) -> None:
        """Envoy refused this one resource; it is quarantined."""
        ...

    def connected(self, order: PushOrder | None) -> None:
        """This stream counts from now on; None when it ended."""
        ...


class StreamSession:
    """One stream of one Envoy."""

    def __init__(self, order: PushOrder, listener: Listener) -> None:
        """Messages go in by `receive`, out by `pushes`."""
        self.order = order
        self._listener = listener
        self._wake = asyncio.Event()
        self._close = order.wanted.follow(lambda _kind, _name: self._wake.set())

    def close(self) -> None:
        """End the stream."""
        self._close()
        self.order.close()

    def wake(self) -> None:
        """Look whether a push is due."""
        self._wake.set()

    def receive(self, request: Any) -> None:
        """Take an acknowledgement, a refusal, a subscription, or several of them in one."""
        kind = request.type_url
        if kind not in self.order.tracks:
            return
        nonce = request.response_nonce
        if nonce and request.HasField("error_detail"):
            self._refused(kind, nonce, request.error_detail.message)
        elif nonce:
            push = self.order.accepted(kind, nonce)
            if push is not None:
                self._listener.accepted(self.order, push)
        self.order.subscribe(
            kind,
            tuple(request.resource_names_subscribe),
            dict(request.initial_resource_versions),
            tuple(request.resource_names_unsubscribe),
        )
        self._wake.set()

    def _refused(self, kind: str, nonce: str, reason: str) -> None:
        resource = self.order.refused(kind, nonce, reason)
        log.warning(
            "envoy refused resources", kind=kind, reason=reason, alone=resource and resource.name
        )
        if resource is not None:
            self._listener.refused(self.order, resource, reason)

    async def pushes(self) -> AsyncIterator[Push]:
        """Yield each push that is due."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for kind in PUSH_TYPES:
                push = self.order.next(kind)
                if push is not None:
                    yield push


class Discovery:
    """The gRPC service."""

    def __init__(
        self,
        wanted: DesiredResources,
        listener: Listener,
        new_order: Callable[[DesiredResources], PushOrder] = PushOrder,
    ) -> None:
        """`new_order` makes the rules of a stream; tests switch single rules off there."""
        self._wanted = wanted
        self._listener = listener
        self._new_order = new_order
        self._is_open = asyncio.Event()
        self._newest: StreamSession | None = None

    def open(self) -> None:
        """Begin to answer: the caches are complete."""
        self._is_open.set()

    def register(self, server: Any) -> None:
        """Add the service to a gRPC server."""
        handler = grpc.stream_stream_rpc_method_handler(
            self.stream,
            request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString,
            response_serializer=discovery_pb2.DeltaDiscoveryResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": handler}),)
        )

    async def stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Serve one Envoy until its stream ends."""
        session = StreamSession(self._new_order(self._wanted), self._listener)
        self._newest = session
        self._listener.connected(session.order)
        reader = asyncio.create_task(self._read(session, requests))
        writer = asyncio.create_task(self._write(session, context))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            session.close()
            if self._newest is session:
                self._newest = None
                self._listener.connected(None)

    async def _read(self, session: StreamSession, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            session.receive(request)

    async def _write(self, session: StreamSession, context: Any) -> None:
        await self._is_open.wait()
        session.wake()
        async for push in session.pushes():
            await context.write(_response(push))


def _response(push: Push) -> Any:
    return discovery_pb2.DeltaDiscoveryResponse(
        type_url=push.kind,
        nonce=push.nonce,
        resources=[
            discovery_pb2.Resource(name=r.name, version=r.version, resource=r.as_any)
            for r in push.resources
        ],
        removed_resources=push.removed,
    )
