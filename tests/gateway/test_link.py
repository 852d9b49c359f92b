"""The stream from agents to the leader, both sides of it, with real gateways."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
import pytest

from modelfleet.link.link_client import GatewayLinks
from modelfleet.link.link_trust import LinkTrust
from tests.gateway.certificate import TOKEN, write_link
from tests.gateway.rig import LINK_PORT, Rig, until

pytestmark = pytest.mark.asyncio

KEY = "team-a/churn"


@asynccontextmanager
async def following(rig: Rig, pem: str, token: str = TOKEN) -> AsyncIterator[GatewayLinks]:
    """The leader's side, connected to all gateways of the rig."""
    news: list[tuple[str, str]] = []
    links = GatewayLinks(
        trust=LinkTrust.of(pem, token),
        port=LINK_PORT,
        on_change=lambda key, why: news.append((key, why)),
    )
    links.news = news  # type: ignore[attr-defined] # only tests look at it
    links.update({gateway.name: gateway.address for gateway in rig.gateways})
    running = asyncio.create_task(links.run())
    try:
        yield links
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_without_the_right_token_nothing_is_told(rig: Rig) -> None:
    gateway = await rig.gateway()
    pem = write_link(gateway.config.link_dir)
    trust = ssl.create_default_context(cadata=pem)
    url = f"https://{gateway.address}:{LINK_PORT}/v1/stream"

    async def code(**headers: str) -> int:
        async with rig.session.get(
            url, headers=headers, ssl=trust, server_hostname="modelfleet-gateway-link"
        ) as response:
            return response.status

    async def is_open() -> bool:
        try:
            return bool(await code())
        except aiohttp.ClientConnectorError:
            return False

    async with asyncio.timeout(10):
        while not await is_open():  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(0.1)
    assert await code() == HTTPStatus.UNAUTHORIZED
    assert await code(Authorization="Bearer wrong") == HTTPStatus.UNAUTHORIZED
    assert await code(Authorization="Bearer secret") == HTTPStatus.OK


async def test_the_leader_sees_what_is_in_effect_held_and_served(rig: Rig) -> None:
    await rig.served(1)
    gateway = await rig.gateway()
    pem = write_link(gateway.config.link_dir)
    async with following(rig, pem) as links:
        await until(lambda: links.connected() == {"gateway-1": True})
        told = links.acknowledgements(KEY)["gateway-1"]
        assert told is not None
        assert told.content_hash == rig.routes["churn"].content_hash
        assert told.endpoints == {"churn-v1": (f"{rig.network}.1.1:8000",)}
        for _ in range(25):
            await rig.ask()
        await asyncio.sleep(1.2)
        samples = links.take_samples()
        seen = [s.models[KEY].versions["churn-v1"] for s in samples if KEY in s.models]
        assert sum(sample.arrivals for sample in seen) == 25
        assert sum(sample.completions.get("2xx", 0) for sample in seen) == 25
        assert sum(sum(sample.latency.values()) for sample in seen) == 25
        assert links.take_samples() == []

        rig.endpoints(1)
        await rig.fed(1)
        asked = asyncio.create_task(rig.ask())
        assert await until(lambda: links.held(KEY) == 1) < 0.5
        assert (KEY, "held") in links.news  # type: ignore[attr-defined]
        rig.endpoints(1, 1)
        await asked
        await until(lambda: links.held(KEY) == 0)


async def test_a_new_leader_is_told_what_answers_took_before_it(rig: Rig) -> None:
    await rig.served(1, delay=0.05)
    gateway = await rig.gateway()
    pem = write_link(gateway.config.link_dir)
    async with following(rig, pem) as links:
        await until(lambda: links.connected() == {"gateway-1": True})
        assert links.answered(KEY).answers == 0, "nothing was before the first"
        for _ in range(10):
            await rig.ask()
        await asyncio.sleep(1.2)
    await until(lambda: not gateway.agent.leader_feed.has_reader)
    for _ in range(10):
        await rig.ask()
    await asyncio.sleep(1.2)
    async with following(rig, pem) as links:
        await until(lambda: links.connected() == {"gateway-1": True})
        told = links.answered(KEY)
        assert told.answers == pytest.approx(10, rel=0.01), "a start slows answers between leaders"
        assert 0.05 <= told.seconds / told.answers < 1.0
        assert links.answered("team-a/other").answers == 0


async def test_in_flight_is_unknown_until_it_is_known(rig: Rig) -> None:
    await rig.served(1, 2, delay=2.0)
    gateway = await rig.gateway()
    pem = write_link(gateway.config.link_dir)
    endpoints = [f"{rig.network}.1.{host}:8000" for host in (1, 2)]
    async with following(rig, pem) as links:
        await until(lambda: links.connected() == {"gateway-1": True})
        asked = [asyncio.create_task(rig.ask()) for _ in range(8)]
        await until(lambda: sum(links.in_flight(e) or 0 for e in endpoints) == 8)
        rig.endpoints(1, 2)
        await until(lambda: links.in_flight(endpoints[0]) is None)
        await until(lambda: links.in_flight(endpoints[0]) == 0)
        assert {a.code for a in await asyncio.gather(*asked)} == {HTTPStatus.OK}
        assert rig.servers[f"{rig.network}.1.1"].served.total() > 0


async def test_a_silent_gateway_makes_sums_unknown(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    second = await rig.gateway()
    pem = write_link(rig.gateways[0].config.link_dir)
    for name in ("tls.crt", "tls.key", "token"):
        second.config.link_dir.mkdir(exist_ok=True)
        content = (rig.gateways[0].config.link_dir / name).read_bytes()
        (second.config.link_dir / name).write_bytes(content)
    async with following(rig, pem) as links:
        await until(lambda: links.held(KEY) == 0)
        await second.cancel_agent()
        await until(lambda: not links.connected()["gateway-2"])
        assert links.held(KEY) is None
        assert links.in_flight("192.0.2.1:8000") is None
        assert links.acknowledgements(KEY)["gateway-2"] is not None
        await second.start_agent(rig.objects)
        await until(lambda: links.held(KEY) == 0)
        links.update({"gateway-1": rig.gateways[0].address})
        assert set(links.acknowledgements(KEY)) == {"gateway-1"}


async def test_a_wrong_certificate_is_not_trusted(rig: Rig) -> None:
    gateway = await rig.gateway()
    write_link(gateway.config.link_dir)
    other = write_link(rig.gateways[0].run_dir / "other")
    async with following(rig, other) as links:
        await asyncio.sleep(3)
        assert links.connected() == {"gateway-1": False}
