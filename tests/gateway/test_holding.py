"""Requests of models without a replica: held, bounded, released, replayed."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from tests.gateway.objects import NAMESPACE, a_model
from tests.gateway.rig import MODEL, Rig, until

pytestmark = pytest.mark.asyncio


def held(rig: Rig) -> int:
    """Held requests at all agents of the rig."""
    return sum(sum(g.agent.holder.held.values()) for g in rig.gateways)


async def test_held_from_zero_and_released(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(200)]
    await until(lambda: held(rig) == 200)
    assert rig.gateways[0].agent.leader_feed.held == {"team-a/churn": 200}
    await rig.replica(1)
    rig.endpoints(1, 1)
    answers = await asyncio.gather(*asked)
    assert {answer.code for answer in answers} == {HTTPStatus.OK}
    assert held(rig) == 0
    assert rig.gateways[0].agent.leader_feed.held == {}


async def test_bodies_of_two_mebibytes_are_replayed(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()
    size = 2 * 1024 * 1024
    asked = [asyncio.create_task(rig.ask(data=b"x" * size)) for _ in range(20)]
    await until(lambda: held(rig) == 20)
    await rig.replica(1)
    rig.endpoints(1, 1)
    for answer in await asyncio.gather(*asked):
        assert (answer.code, answer.body["bytes"]) == (HTTPStatus.OK, size)


async def test_chunked_bodies_are_replayed(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()

    async def body():  # noqa: ANN202 - an async generator of bytes
        for _ in range(50):
            yield b"y" * 10_000
            await asyncio.sleep(0.001)

    asked = asyncio.create_task(rig.ask(data=body()))
    await until(lambda: held(rig) == 1)
    await rig.replica(1)
    rig.endpoints(1, 1)
    assert (await asked).body["bytes"] == 500_000


async def test_bodies_above_the_bound_are_refused_at_once(rig: Rig) -> None:
    await rig.served(max_replay_bytes=1000)
    await rig.gateway()
    answer = await rig.ask(data=b"x" * 1001)
    assert answer.code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "too large" in answer.body["error"]
    assert answer.headers["Retry-After"] == "5"
    assert answer.seconds < 1


async def test_more_than_the_bound_are_refused_with_retry_after(rig: Rig) -> None:
    await rig.served(hold_max_requests=10)
    await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(25)]
    await until(lambda: held(rig) == 10)
    await asyncio.sleep(0.2)
    refused = [task.result() for task in asked if task.done()]
    assert len(refused) == 15
    assert {(a.code, a.headers["Retry-After"]) for a in refused} == {(503, "5")}
    assert not [n for a in refused for n in a.headers if n.lower().startswith("x-modelfleet")]
    await rig.replica(1)
    rig.endpoints(1, 1)
    answers = [task.result() for task in asked if (await asyncio.wait([task]))]
    assert sum(answer.code == HTTPStatus.OK for answer in answers) == 10


async def test_nobody_waits_longer_than_the_bound(rig: Rig) -> None:
    await rig.served(hold_max_seconds=1)
    await rig.gateway()
    answer = await rig.ask()
    assert answer.code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Retry-After" in answer.headers
    assert 0.9 < answer.seconds < 2.0


async def test_a_client_that_leaves_is_held_no_more(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()
    asked = asyncio.create_task(rig.ask())
    await until(lambda: held(rig) == 1)
    asked.cancel()
    await until(lambda: held(rig) == 0)


async def test_waits_for_another_version_when_its_own_left_the_route(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()
    asked = asyncio.create_task(rig.ask())
    await until(lambda: held(rig) == 1)
    rig.version(2)
    await rig.replica(2, version=2)
    rig.endpoints(2, 2)
    rig.route({2: 100})
    answer = await asked
    assert (answer.code, answer.body["version"]) == (HTTPStatus.OK, "churn-v2")


async def test_zero_one_zero_under_clients(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    async with rig.load(20) as seen:
        for _ in range(5):
            rig.endpoints(1)
            await rig.fed(1)
            await until(lambda: held(rig) == 20)
            rig.endpoints(1, 1)
            await rig.fed(1, 1)
            await asyncio.sleep(0.3)
    assert seen.failures == {}
    assert seen.total > 500


async def test_a_held_request_is_counted_apart(rig: Rig) -> None:
    await rig.served()
    gateway = await rig.gateway()
    asked = asyncio.create_task(rig.ask())
    await until(lambda: held(rig) == 1)
    await asyncio.sleep(0.5)
    await rig.replica(1, delay=0.1)
    rig.endpoints(1, 1)
    await asked
    await asyncio.sleep(0.2)
    counter = gateway.agent.traffic.counter("team-a/churn", "churn-v1")
    totals = counter.totals
    arrivals = totals.arrivals + counter.arrivals
    hold = totals.hold_seconds + counter.hold_seconds
    service = totals.service_seconds + counter.service_seconds
    assert arrivals == 1
    assert 0.5 < hold < 1.5
    assert 0.1 <= service < 0.3


def refused(rig: Rig) -> int:
    """Refusals of the model's version that count as an overload."""
    counter = rig.gateways[0].agent.traffic.counter("team-a/churn", "churn-v1")
    return counter.refused + counter.totals.refused


async def test_only_requests_that_are_too_many_count_as_an_overload(rig: Rig) -> None:
    """Too large, or held for too long: more replicas would not help, and nobody is told so."""
    await rig.served(hold_max_requests=1, hold_max_seconds=1, max_replay_bytes=1000)
    await rig.gateway()
    too_large = await rig.ask(data=b"x" * 1001)
    too_long = asyncio.create_task(rig.ask())
    await until(lambda: held(rig) == 1)
    too_many = await rig.ask()
    assert {one.code for one in (too_large, too_many, await too_long)} == {503}
    await asyncio.sleep(0.3)
    assert refused(rig) == 1


async def test_a_model_without_a_version_holds_its_requests_until_the_first_one(rig: Rig) -> None:
    fresh = a_model(MODEL, uid=f"uid-{MODEL}")
    fresh["spec"] = {"scaling": {"hold": {"maxSeconds": 30}}}
    rig.put("MLModel", fresh)
    await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(20)]
    await until(lambda: held(rig) == 20)
    rig.version(1)
    rig.route({1: 100})
    await asyncio.sleep(0.2)
    await rig.replica(1)
    rig.endpoints(1, 1)
    answers = await asyncio.gather(*asked)
    assert {(answer.code, answer.body.get("version")) for answer in answers} == {(200, "churn-v1")}
    await until(lambda: held(rig) == 0)


async def test_a_model_whose_first_version_cannot_come_says_why(rig: Rig) -> None:
    fresh = a_model(MODEL, uid=f"uid-{MODEL}")
    fresh["spec"] = {"scaling": {"hold": {"maxSeconds": 1}}}
    stalled = {"type": "Stalled", "status": "True", "reason": "FetchFailed", "message": "secret"}
    fresh["status"] = {"conditions": [stalled]}
    rig.put("MLModel", fresh)
    await rig.gateway()
    answer = await rig.ask()
    assert answer.code == HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.body == {"error": "no replica became ready in time: FetchFailed"}


async def test_a_model_that_is_deleted_before_its_first_version_is_unknown(rig: Rig) -> None:
    rig.put("MLModel", a_model(MODEL, uid=f"uid-{MODEL}"))
    await rig.gateway()
    asked = asyncio.create_task(rig.ask())
    await until(lambda: held(rig) == 1)
    rig.delete("MLModel", MODEL)
    assert (await asked).code == HTTPStatus.SERVICE_UNAVAILABLE
    await until(lambda: rig.gateways[0].agent.watched.records == {})
    assert (await rig.ask()).code == HTTPStatus.NOT_FOUND


async def test_large_bodies_of_one_model_leave_room_for_another(rig: Rig) -> None:
    """A model may hold half of what the others leave: 4, then 4 of 8 MiB; the other one 2 of 4."""
    for model in (MODEL, "other"):
        rig.version(1, model=model)
        rig.route({1: 100}, model=model, hold_max_seconds=20)
    await rig.gateway(hold_max_bytes=8 << 20)
    body = b"x" * (1 << 20)
    first = [asyncio.create_task(rig.ask(data=body)) for _ in range(4)]
    await until(lambda: rig.gateways[0].agent.holder.bodies.total_bytes == 4 << 20)
    refused = await rig.ask(data=body)
    assert (refused.code, refused.body["error"]) == (503, "too many requests wait for this model")
    others = [asyncio.create_task(rig.ask(f"other.{NAMESPACE}", data=body)) for _ in range(2)]
    await until(lambda: held(rig) == 6)
    refused = await rig.ask(f"other.{NAMESPACE}", data=body)
    assert refused.code == HTTPStatus.SERVICE_UNAVAILABLE
    for task in (*first, *others):
        task.cancel()
    await until(lambda: rig.gateways[0].agent.holder.bodies.total_bytes == 0)
    assert not rig.gateways[0].agent.holder.bodies.by_model


async def test_bodies_without_a_length_are_bounded_as_well(rig: Rig) -> None:
    """All come at once: when they began, nothing was held. The model may hold 4 of 8 MiB."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield b"x" * (1 << 16)
            await asyncio.sleep(0.01)

    rig.version(1)
    rig.route({1: 100}, hold_max_seconds=20)
    gateway = await rig.gateway(hold_max_bytes=8 << 20)
    asked = [asyncio.create_task(rig.ask(data=body())) for _ in range(12)]
    await until(lambda: gateway.agent.holder.bodies.total_bytes > 3 << 20)
    await until(lambda: held(rig) <= 4)
    assert gateway.agent.holder.bodies.total_bytes <= 4 << 20
    refused = [one.result() for one in asked if one.done()]
    assert {(one.code, one.body["error"]) for one in refused} == {
        (503, "too many requests wait for this model")
    }
    assert held(rig) >= 1
    for one in asked:
        one.cancel()
    await until(lambda: gateway.agent.holder.bodies.total_bytes == 0)
