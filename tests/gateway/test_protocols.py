"""gRPC and streams through the gateway, warm and held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import grpc
import pytest
from aiohttp import web

from tests.gateway.rig import CLUSTER_PORT, Rig, until
from tests.gateway.servers import PORT

pytestmark = pytest.mark.asyncio

UNARY, STREAM = "/test.Model/Infer", "/test.Model/Chat"


class _Model(grpc.GenericRpcHandler):
    """Echoes bytes; no schema needed."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == UNARY:
            return grpc.unary_unary_rpc_method_handler(self._infer)
        return grpc.stream_stream_rpc_method_handler(self._chat)

    async def _infer(self, request: bytes, _context: Any) -> bytes:
        return request.upper()

    async def _chat(self, requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request.upper()


@asynccontextmanager
async def grpc_replica(rig: Rig, host: int) -> AsyncIterator[None]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Model(),))
    server.add_insecure_port(f"{rig.network}.1.{host}:{PORT}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


def channel(rig: Rig) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(
        f"{rig.gateways[0].address}:{CLUSTER_PORT}",
        options=[("grpc.default_authority", "churn.team-a"), ("grpc.enable_retries", 0)],
    )


async def _cold(rig: Rig) -> None:
    rig.version(1, protocol="GRPC")
    rig.endpoints(1)
    rig.route({1: 100})
    await rig.gateway()


async def test_unary_calls_are_held_and_served(rig: Rig) -> None:
    await _cold(rig)
    holder = rig.gateways[0].agent.holder
    async with channel(rig) as client:
        call = client.unary_unary(UNARY)
        asked = [asyncio.ensure_future(call(b"hello", timeout=20)) for _ in range(20)]
        await until(lambda: sum(holder.held.values()) == 20)
        async with grpc_replica(rig, 1):
            rig.endpoints(1, 1)
            assert set(await asyncio.gather(*asked)) == {b"HELLO"}


async def test_a_conversation_is_held_at_its_first_message(rig: Rig) -> None:
    await _cold(rig)
    holder = rig.gateways[0].agent.holder
    async with channel(rig) as client:
        talk = client.stream_stream(STREAM)(timeout=20)
        await talk.write(b"one")
        await until(lambda: sum(holder.held.values()) == 1)
        async with grpc_replica(rig, 1):
            rig.endpoints(1, 1)
            assert await talk.read() == b"ONE"
            await talk.write(b"two")
            assert await talk.read() == b"TWO"
            await talk.done_writing()


async def test_streams_live_through_weights_drains_and_removed_versions(rig: Rig) -> None:
    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(20):
            await response.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(0.1)
        return response

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", events)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, f"{rig.network}.1.1", PORT).start()
    rig.version(1)
    rig.endpoints(1, 1)
    rig.route({1: 100})
    await rig.gateway()
    await rig.replica(2, version=2)
    rig.version(2)
    asked = [asyncio.create_task(rig.ask()) for _ in range(20)]
    await asyncio.sleep(0.3)
    rig.endpoints(2, 2)
    rig.route({2: 100})
    rig.endpoints(1)
    await rig.acknowledged()
    rig.gateways[0].agent.watched.records["team-a", "churn"].lingering = {"churn-v1": 0.0}
    answers = await asyncio.gather(*asked)
    await runner.cleanup()
    assert {answer.code for answer in answers} == {HTTPStatus.OK}
    assert all("data: 19" in answer.body["text"] for answer in answers)
