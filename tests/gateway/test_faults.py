"""Replicas, agents and resources go wrong; clients do not notice."""

import asyncio
from http import HTTPStatus

import pytest

from tests.gateway import scenarios
from tests.gateway.rig import Rig, until

pytestmark = pytest.mark.asyncio


async def test_the_last_replica_dies_and_comes_back(rig: Rig) -> None:
    seen = await scenarios.last_replica_dies(rig)
    assert seen.failures == {}
    assert seen.worst_seconds < 5


async def test_one_of_two_replicas_cuts_every_request_off(rig: Rig) -> None:
    seen = await scenarios.one_replica_cuts_off(rig)
    assert seen.failures == {}


async def test_a_replica_killed_in_the_middle_of_requests(rig: Rig) -> None:
    await rig.served(1, 2, delay=0.2)
    await rig.gateway()
    seen = await scenarios.one_of_two_dies(rig, clients=20)
    assert seen.failures == {}
    assert rig.gateways[0].agent.traffic.counter("team-a/churn", "churn-v1").totals.completions


async def test_a_query_of_death_reaches_two_replicas_only(rig: Rig) -> None:
    for host in (1, 2, 3, 4):
        await rig.replica(host, mode="reset")
    rig.version(1)
    rig.endpoints(1, 1, 2, 3, 4)
    rig.route({1: 100})
    gateway = await rig.gateway()
    answer = await rig.ask()
    assert answer.code == HTTPStatus.BAD_GATEWAY
    assert sum(sum(server.served.values()) for server in rig.servers.values()) == 2
    assert gateway.agent.traffic.deadly == {"team-a/churn": 1}


async def test_one_bad_model_is_quarantined_alone(rig: Rig) -> None:
    await rig.served(1)
    gateway = await rig.gateway()
    rig.version(1, model="bad")
    rig.endpoints(1, 1, model="bad")
    rig.version(1, model="good")
    rig.endpoints(1, 1, model="good")
    # Envoy's own validation refuses the sum; ours does not look at it.
    rig.version(2, model="bad")
    bad = rig.route({1: 2**32 - 1, 2: 2**32 - 1}, model="bad")
    rig.route({1: 100}, model="good")
    await rig.acknowledged("good")
    rig.route({1: 100}, request_timeout_seconds=5)
    await rig.acknowledged()
    await until(lambda: gateway.agent.leader_feed.rejections.get("team-a/bad"))
    assert rig.in_effect("bad") == (0, {})
    assert (await rig.ask("good.team-a")).code == HTTPStatus.OK
    assert (await rig.ask("bad.team-a")).code == HTTPStatus.NOT_FOUND
    assert bad.revision
    rig.route({1: 100}, model="bad")
    await rig.acknowledged("bad")
    assert gateway.agent.leader_feed.rejections == {}
    assert (await rig.ask("bad.team-a")).code == HTTPStatus.OK


async def test_a_route_that_cannot_be_built_is_quarantined_too(rig: Rig) -> None:
    await rig.served(1)
    gateway = await rig.gateway()
    rig.route({1: 100}, request_timeout_seconds=10**12)
    assert "duration" in gateway.agent.leader_feed.rejections["team-a/churn"].lower()
    assert (await rig.ask()).code == HTTPStatus.OK
    rig.route({1: 100}, request_timeout_seconds=10)
    await rig.acknowledged()
    assert gateway.agent.leader_feed.rejections == {}


async def test_a_route_that_vanishes_keeps_the_last_good_one(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    _, model = rig.objects["MLModel", "churn"]
    rig.put("MLModel", {**model, "status": {}})
    await asyncio.sleep(0.1)
    assert (await rig.ask()).code == HTTPStatus.OK
    rig.delete("MLModel", "churn")
    await asyncio.sleep(0.1)
    assert (await rig.ask()).code == HTTPStatus.OK
    rig.endpoints(1)
    await until(lambda: rig.in_effect() == (0, {}))
    await asyncio.sleep(0.1)
    assert (await rig.ask()).code == HTTPStatus.NOT_FOUND


async def test_envoy_serves_on_while_the_agent_restarts(rig: Rig) -> None:
    await rig.served(1, 2)
    await rig.gateway()
    gateway = await rig.gateway()
    rig.gateways.reverse()
    async with rig.load() as seen:
        await asyncio.sleep(0.2)
        await gateway.cancel_agent()
        await asyncio.sleep(0.5)
        await gateway.start_agent(rig.objects)
        await gateway.ready()
        rig.route({1: 100}, request_timeout_seconds=9)
        await rig.acknowledged()
        await asyncio.sleep(0.1)
    assert seen.failures == {}
    assert seen.total > 200


async def test_nothing_is_answered_before_the_caches_are_complete(rig: Rig) -> None:
    await rig.served(1)
    gateway = await rig.gateway()
    async with rig.load(4) as seen:
        await gateway.cancel_agent()
        gateway.agent = type(gateway.agent)(gateway.config)
        running = asyncio.create_task(gateway.agent.run(gateway.stop_event))
        await asyncio.sleep(1.5)
        assert "watches" in gateway.agent.why_not_ready()
        for kind, obj in rig.objects.values():
            gateway.agent.put(kind, obj)
        gateway.agent.synced()
        await gateway.ready()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert seen.failures == {}


async def test_a_stopped_gateway_loses_nothing(rig: Rig) -> None:
    await rig.served()
    first = await rig.gateway()
    await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(50)]
    await until(lambda: first.agent.holder.held)
    stopping = asyncio.create_task(first.stop_agent())
    await until(lambda: first.agent.why_not_ready() == "stopping")
    await asyncio.sleep(0.6)
    await rig.replica(1)
    rig.endpoints(1, 1)
    answers = await asyncio.gather(*asked)
    await stopping
    assert {answer.code for answer in answers} == {HTTPStatus.OK}


async def test_replicas_leave_between_two_attempts_of_a_request(rig: Rig) -> None:
    seen = await scenarios.emptied_between_attempts(rig)
    assert seen.failures == {}
    assert seen.total > 100


async def test_a_dying_replica_with_more_requests_than_may_wait(rig: Rig) -> None:
    await rig.served(1, 2, 3, delay=0.3, hold_max_requests=3)
    gateway = await rig.gateway()
    told: list[tuple[str, int]] = []
    gateway.agent.holder._on_held = lambda key, number: told.append((key, number))
    seen = await scenarios.one_of_two_dies(rig, clients=40)
    assert seen.failures == {}
    assert gateway.agent.traffic.refused == {}
    assert told == [], "who only passes does not wait"


async def test_a_request_waits_until_an_agent_that_starts_knows_its_model(rig: Rig) -> None:
    await rig.served()
    gateway = await rig.gateway()
    await gateway.cancel_agent()
    gateway.agent = type(gateway.agent)(gateway.config)
    running = asyncio.create_task(gateway.agent.run(gateway.stop_event))
    await asyncio.sleep(1.5)
    assert "watches" in gateway.agent.why_not_ready()
    asked = asyncio.create_task(rig.ask())
    await asyncio.sleep(1)
    assert not asked.done()
    for kind, obj in rig.objects.values():
        gateway.agent.put(kind, obj)
    gateway.agent.synced()
    await rig.replica(1)
    rig.endpoints(1, 1)
    answer = await asked
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert answer.code == HTTPStatus.OK
