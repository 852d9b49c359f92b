"""WebSockets through the gateway: refused unless the model asks for them, held while it sleeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.rig import CLUSTER_PORT, NAMESPACE, Rig, until
from tests.gateway.servers import PORT


@asynccontextmanager
async def socket_replica(rig: Rig, host: int) -> AsyncIterator[None]:
    """A server that echoes each message in capitals."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data.upper())
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", echo)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, f"{rig.network}.1.{host}", PORT).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def talk(rig: Rig, **more: str) -> list[str]:
    url = f"ws://{rig.gateways[0].address}:{CLUSTER_PORT}/chat"
    host = {"Host": f"churn.{NAMESPACE}", **more}
    async with rig.session.ws_connect(url, headers=host) as connection:
        answers = []
        for word in ("one", "two"):
            await connection.send_str(word)
            answers.append((await connection.receive(timeout=10)).data)
        return answers


async def start(rig: Rig, *hosts: int, **more: object) -> None:
    rig.version(1)
    rig.endpoints(1, *hosts)
    rig.route({1: 100}, **more)
    await rig.gateway()
    await rig.fed(1, *hosts)


async def test_a_socket_of_a_warm_model(rig: Rig) -> None:
    async with socket_replica(rig, 1):
        await start(rig, 1, upgrades=("WebSocket",))
        assert await talk(rig) == ["ONE", "TWO"]


@pytest.mark.parametrize("more", [{}, {"Content-Length": "5"}], ids=["plain", "with a length"])
async def test_a_socket_of_a_sleeping_model_is_held(rig: Rig, more: dict[str, str]) -> None:
    await start(rig, upgrades=("WebSocket",))
    asked = asyncio.create_task(talk(rig, **more))
    await until(lambda: rig.gateways[0].agent.holder.held == {"team-a/churn": 1})
    async with socket_replica(rig, 1):
        rig.endpoints(1, 1)
        assert await asked == ["ONE", "TWO"]


async def test_a_hold_that_ends_tells_why(rig: Rig) -> None:
    await start(rig, upgrades=("WebSocket",), hold_max_seconds=1)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await talk(rig)
    assert refused.value.status == 503


async def test_no_socket_without_the_field(rig: Rig) -> None:
    async with socket_replica(rig, 1):
        await start(rig, 1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await talk(rig)
    assert refused.value.status == 403
