"""The request time-out bounds the silence of a replica; holds and streams have their own time."""

import asyncio

import aiohttp
import pytest

from tests.gateway.rig import CLUSTER_PORT, NAMESPACE, Answer, Rig, until

TIMED_OUT = (504, "the replica sent nothing for traffic.requestTimeoutSeconds")


def held(rig: Rig) -> int:
    return sum(rig.gateways[0].agent.holder.held.values())


def seen(answer: Answer) -> tuple[int, str]:
    return answer.code, answer.body.get("error", "")


async def in_pieces(rig: Rig, pauses: str) -> bytes:
    url = f"http://{rig.gateways[0].address}:{CLUSTER_PORT}/stream"
    headers = {"Host": f"churn.{NAMESPACE}", "x-pieces": pauses}
    async with rig.session.post(url, headers=headers) as response:
        assert response.status == 200
        return await response.read()


@pytest.mark.parametrize(
    ("replicas", "idempotent", "attempts"),
    [(1, True, 1), (2, True, 2), (3, True, 2), (2, False, 1)],
)
async def test_a_request_that_takes_too_long_ends(
    rig: Rig, replicas: int, idempotent: bool, attempts: int
) -> None:
    hosts = range(1, replicas + 1)
    await rig.served(
        *hosts, delay=3.0, request_timeout_seconds=1, hold_max_seconds=20, idempotent=idempotent
    )
    await rig.gateway()
    await rig.fed(1, *hosts)
    answer = await rig.ask()
    assert seen(answer) == TIMED_OUT
    assert 0.9 * attempts < answer.seconds < attempts + 10.0
    assert sum(sum(server.served.values()) for server in rig.servers.values()) == attempts


async def test_a_replica_that_hangs_loses_no_request(rig: Rig) -> None:
    await rig.served(1, 2, request_timeout_seconds=1, hold_max_seconds=20)
    next(iter(rig.servers.values())).delay = 30.0
    await rig.gateway()
    await rig.fed(1, 1, 2)
    answers = await asyncio.gather(*(rig.ask() for _ in range(20)))
    assert [answer.code for answer in answers] == [200] * 20
    assert max(answer.seconds for answer in answers) < 15.0


async def test_a_replica_that_hangs_and_then_leaves_loses_no_request(rig: Rig) -> None:
    """Its readiness probe takes it out before the request's time is over."""
    await rig.served(1, 2, request_timeout_seconds=2, hold_max_seconds=20)
    next(iter(rig.servers.values())).delay = 30.0
    await rig.gateway()
    await rig.fed(1, 1, 2)
    asked = [asyncio.create_task(rig.ask()) for _ in range(20)]
    await asyncio.sleep(1.0)
    rig.endpoints(1, 2)
    assert [answer.code for answer in await asyncio.gather(*asked)] == [200] * 20


@pytest.mark.parametrize("mode", ["silent", "reset"])
async def test_time_at_a_replica_is_no_time_on_hold(rig: Rig, mode: str) -> None:
    """The time-out is longer than the hold, as by default."""
    await rig.served(1, 2, request_timeout_seconds=3, hold_max_seconds=1)
    first = next(iter(rig.servers.values()))
    first.delay, first.mode = (30.0, "ok") if mode == "silent" else (2.0, "late reset")
    await rig.gateway()
    await rig.fed(1, 1, 2)
    answers = await asyncio.gather(*(rig.ask() for _ in range(20)))
    assert [answer.code for answer in answers] == [200] * 20


async def test_a_dead_replica_is_survived_for_as_long_with_any_time_out(rig: Rig) -> None:
    """Every other attempt meets a replica that cuts the request off, for some seconds."""
    await rig.served(1, request_timeout_seconds=5, hold_max_seconds=50)
    dead = next(iter(rig.servers.values()))
    await dead.stop()
    await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(10)]
    await asyncio.sleep(7)
    await dead.start()
    assert [answer.code for answer in await asyncio.gather(*asked)] == [200] * 10


async def test_a_slow_upload_is_no_silence(rig: Rig) -> None:
    await rig.served(1, request_timeout_seconds=1)
    await rig.gateway()
    await rig.fed(1, 1)

    async def body():
        for _ in range(8):
            yield b"x" * 100
            await asyncio.sleep(0.25)

    answer = await rig.ask(data=body())
    assert (answer.code, answer.body["bytes"]) == (200, 800)


async def test_a_stream_that_flows_outlives_every_time_out(rig: Rig) -> None:
    await rig.served(1, request_timeout_seconds=1, hold_max_seconds=1)
    await rig.gateway()
    await rig.fed(1, 1)
    assert await in_pieces(rig, ",".join(["0.5"] * 14)) == b"piece" * 14


async def test_a_stream_that_stalls_is_cut(rig: Rig) -> None:
    await rig.served(1, request_timeout_seconds=1)
    await rig.gateway()
    await rig.fed(1, 1)
    with pytest.raises(aiohttp.ClientError):
        await in_pieces(rig, "0.1,0.1,9")


async def test_a_hold_outlives_many_attempts(rig: Rig) -> None:
    await rig.served(request_timeout_seconds=1, hold_max_seconds=20)
    await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(20)]
    await until(lambda: held(rig) == 20)
    await asyncio.sleep(6)
    await rig.replica(1)
    rig.endpoints(1, 1)
    answers = await asyncio.gather(*asked)
    assert [answer.code for answer in answers] == [200] * 20
    assert max(answer.seconds for answer in answers) < 15


async def test_what_is_held_on_is_not_refused_for_those_that_came_later(rig: Rig) -> None:
    await rig.served(request_timeout_seconds=1, hold_max_seconds=20, hold_max_requests=5)
    await rig.gateway()
    first = [asyncio.create_task(rig.ask()) for _ in range(5)]
    await until(lambda: held(rig) == 5)
    later = []
    for _ in range(20):
        later.append(asyncio.create_task(rig.ask()))
        await asyncio.sleep(0.1)
    await rig.replica(1)
    rig.endpoints(1, 1)
    assert [answer.code for answer in await asyncio.gather(*first)] == [200] * 5
    assert 503 in {answer.code for answer in await asyncio.gather(*later)}


async def test_a_replica_that_dies_late_is_not_taken_for_silent(rig: Rig) -> None:
    """Held for longer than the time-out, then served by a replica that dies at once."""
    await rig.served(request_timeout_seconds=1, hold_max_seconds=20)
    await rig.gateway()
    asked = asyncio.create_task(rig.ask())
    await until(lambda: held(rig) == 1)
    await asyncio.sleep(2)
    server = await rig.replica(1, mode="reset")
    rig.endpoints(1, 1)
    await until(lambda: server.served)
    await rig.replica(2)
    rig.endpoints(1, 2)
    assert (await asked).code == 200


async def test_time_at_a_silent_replica_is_counted_once(rig: Rig) -> None:
    await rig.served(1, delay=3.0, request_timeout_seconds=1)
    await rig.gateway()
    await rig.fed(1, 1)
    await rig.ask()
    counter = rig.gateways[0].agent.traffic.counter(f"{NAMESPACE}/churn", "churn-v1")
    await until(lambda: counter.totals.completions or counter.completions)
    await asyncio.sleep(0.2)
    total = counter.totals.service_seconds + counter.service_seconds
    assert 0.9 < total < 2.0
