"""Two gateways; the agent of one is killed without warning while it holds requests."""

import asyncio
from http import HTTPStatus

import pytest

from tests.gateway.remote import RemoteAgent
from tests.gateway.rig import Answer, Rig, until

pytestmark = pytest.mark.asyncio

HELD = 200


async def _two_gateways(rig: Rig) -> RemoteAgent:
    """The first gateway's agent is a process; the second's runs here."""
    await rig.served()
    first = await rig.gateway()
    await first.cancel_agent()
    remote = RemoteAgent(rig, first)
    await remote.start()
    await rig.gateway()
    return remote


async def _held(rig: Rig, remote: RemoteAgent) -> list[asyncio.Task[Answer]]:
    """Requests in the holders: most in the killed agent's, a few in the other on a slow machine."""
    asked = [asyncio.create_task(rig.ask()) for _ in range(HELD)]
    other = rig.gateways[1].agent.holder
    own = 0.0
    async with asyncio.timeout(20):
        while own + sum(other.held.values()) < HELD:
            early = [task.result() for task in asked if task.done()]
            assert not early, f"answered before any replica was there: {early[:3]}"
            await asyncio.sleep(0.05)
            own = await remote.metric("modelfleet_gateway_held_requests{")
    assert own > HELD / 2, f"only {own} are held in the agent that is to be killed"
    return asked


async def test_the_other_gateway_takes_over_held_requests(rig: Rig) -> None:
    remote = await _two_gateways(rig)
    try:
        asked = await _held(rig, remote)
        await remote.kill()
        other = rig.gateways[1].agent.holder
        await until(lambda: sum(other.held.values()) == HELD)
        await remote.start()
        await rig.replica(1)
        rig.endpoints(1, 1)
        answers = await asyncio.gather(*asked)
    finally:
        await remote.kill()
    assert {answer.code for answer in answers} == {HTTPStatus.OK}


async def test_released_by_the_other_before_its_own_agent_is_back(rig: Rig) -> None:
    remote = await _two_gateways(rig)
    try:
        asked = await _held(rig, remote)
        await remote.kill()
        other = rig.gateways[1].agent.holder
        await until(lambda: sum(other.held.values()) == HELD)
        # The calling Envoy does not learn of the replica before its own agent is back.
        await rig.replica(1)
        rig.endpoints(1, 1)
        await asyncio.sleep(3)
        await remote.start()
        answers = await asyncio.gather(*asked)
    finally:
        await remote.kill()
    assert {answer.code for answer in answers} == {HTTPStatus.OK}
