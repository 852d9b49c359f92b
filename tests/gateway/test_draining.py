"""A gateway is stopped while clients hold idle connections to it and use them once more."""

import asyncio
import random
from http import HTTPStatus

import aiohttp
import pytest

from tests.gateway.keepalive import Connection, Seen
from tests.gateway.rig import Gateway, Rig, until

pytestmark = pytest.mark.asyncio

IDLE = 40
STEADY = 6
LATEST_SECONDS = 4.0


async def steady(rig: Rig, seen: Seen, stop: asyncio.Event, chance: random.Random) -> None:
    """One client with one connection at a time, as through a Service: new ones to ready pods."""
    connection: Connection | None = None
    while not stop.is_set():
        if connection is None or connection.is_over:
            ready = [g for g in rig.gateways if not g.agent.why_not_ready()]
            connection = await Connection.to(chance.choice(ready).address)
        await connection.ask(seen, "steady")
        await asyncio.sleep(0.005)
    if connection is not None:
        connection.close()


async def use_again(connection: Connection, seen: Seen, after_seconds: float) -> None:
    """An idle connection, used once at some moment of the drain."""
    await asyncio.sleep(after_seconds)
    await connection.ask(seen, f"idle, used after {after_seconds:.1f} s")


async def stop_under_load(rig: Rig, **more: float) -> Seen:
    """SIGTERM to one of two gateways: the agent drains, then Envoy is ended."""
    await rig.served(1, 2, delay=0.01)
    first = await rig.gateway(**more)
    await rig.gateway()
    chance, seen, stop = random.Random(11), Seen(), asyncio.Event()
    held = [await Connection.to(first.address) for _ in range(IDLE)]
    await asyncio.gather(*(one.ask(seen, "first use") for one in held))
    clients = [asyncio.create_task(steady(rig, seen, stop, chance)) for _ in range(STEADY)]
    await asyncio.sleep(0.5)
    ended = asyncio.create_task(end(first))
    await until(lambda: first.agent.why_not_ready() == "stopping")
    moments = [chance.uniform(0.0, LATEST_SECONDS) for _ in held]
    await asyncio.gather(*(use_again(one, seen, at) for one, at in zip(held, moments, strict=True)))
    await ended
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*clients)
    return seen


async def end(gateway: Gateway) -> None:
    """What the kubelet does: the agent first, Envoy when that has ended."""
    await gateway.stop_agent()
    await gateway.envoy.stop()


async def test_idle_connections_that_are_used_during_the_drain_lose_nothing(rig: Rig) -> None:
    seen = await stop_under_load(rig)
    assert seen.lost == []
    assert set(seen.answers) == {HTTPStatus.OK}
    assert sum(seen.answers.values()) > 2 * IDLE + 100


async def test_control_without_patience_for_idle_connections_requests_are_lost(rig: Rig) -> None:
    seen = await stop_under_load(rig, idle_seconds=0.0)
    assert seen.lost
    assert all(text.startswith("idle") for text in seen.lost), seen.lost


@pytest.mark.parametrize(("timeout", "answers"), [(60, True), (1, False)])
async def test_the_slowest_route_says_how_long_a_gateway_drains(
    rig: Rig, timeout: int, answers: bool
) -> None:
    """A stream of 4 s ends, although the own bound of the drain is much shorter."""
    await rig.served(1, request_timeout_seconds=timeout, hold_max_seconds=1)
    gateway = await rig.gateway(drain_seconds=0.1, idle_seconds=0.0)
    await rig.fed(1, 1)
    headers = {"x-pieces": ",".join(["0.5"] * 8)}
    asked = asyncio.create_task(rig.ask(headers=headers))
    await asyncio.sleep(0.5)
    await end(gateway)
    if answers:
        assert (await asked).body["text"] == "piece" * 8
        return
    with pytest.raises(aiohttp.ClientError):
        await asked
