"""A request that finds no replica is answered as one that finds some: the same bytes arrive."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

import pytest
from yarl import URL

from tests.gateway.rig import CLUSTER_PORT, MODEL, NAMESPACE, Rig, until

pytestmark = pytest.mark.asyncio

ZEROS = gzip.compress(bytes(8_000_000))
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"data": b"x"},
    "empty": {"data": b""},
    "a header of 9 kB": {"headers": {"X-Own": "h" * 9_000}},
    "headers of 55 kB": {"headers": {f"X-Own-{n}": "h" * 5_500 for n in range(10)}},
    "an address of 20 kB": {"path": f"/predict?q={'u' * 20_000}"},
    "ninety headers": {"headers": {f"X-Own-{n}": "h" for n in range(90)}},
    "gzip": {"data": gzip.compress(b"x" * 1000), "headers": {"Content-Encoding": "gzip"}},
    "gzip that unpacks to 8 MB": {"data": ZEROS, "headers": {"Content-Encoding": "gzip"}},
    "no gzip, called so": {"data": b"not gzip", "headers": {"Content-Encoding": "gzip"}},
    "zstd": {"data": b"(\xb5/\xfd...", "headers": {"Content-Encoding": "zstd"}},
    "br": {"data": b"\x0b\x02...", "headers": {"Content-Encoding": "br"}},
    "an encoding of one's own": {"data": b"x", "headers": {"Content-Encoding": "own"}},
    "put": {"method": "PUT", "data": b"x" * 100_000},
    "delete": {"method": "DELETE"},
    "options": {"method": "OPTIONS"},
    "a method of one's own": {"method": "SEARCH", "data": b"x"},
    "an escaped path": {"path": "/a%2Fb/%C3%A4?x=%20+"},
    "expect": {"data": b"x" * 1000, "headers": {"Expect": "100-continue"}},
}


async def answered(rig: Rig, request: Mapping[str, Any]) -> tuple[int, bytes]:
    """Status and body of one request."""
    method, path = request.get("method", "POST"), request.get("path", "/predict")
    headers = {"Host": f"{MODEL}.{NAMESPACE}", "x-echo": "1", **request.get("headers", {})}
    url = f"http://{rig.gateways[0].address}:{CLUSTER_PORT}{path}"
    async with rig.session.request(
        method, URL(url, encoded=True), data=request.get("data"), headers=headers
    ) as response:
        return response.status, await response.read()


def held(rig: Rig) -> int:
    return sum(sum(g.agent.holder.held.values()) for g in rig.gateways)


async def test_what_passes_warm_passes_cold_byte_for_byte(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()
    asked = {
        name: asyncio.create_task(answered(rig, request)) for name, request in REQUESTS.items()
    }
    await until(lambda: held(rig) + sum(task.done() for task in asked.values()) == len(asked))
    early = {name: task.result() for name, task in asked.items() if task.done()}
    assert early == {}, "answered while no replica was there"
    await rig.replica(1)
    rig.endpoints(1, 1)
    cold = {name: await task for name, task in asked.items()}
    warm = {name: await answered(rig, request) for name, request in REQUESTS.items()}
    for name in REQUESTS:
        assert cold[name] == warm[name], name
        assert warm[name][0] == 200, name


async def http_1_0(rig: Rig) -> bytes:
    """A request as old clients and load balancers send it; returns the status line."""
    reader, writer = await asyncio.open_connection(rig.gateways[0].address, CLUSTER_PORT)
    host = f"{MODEL}.{NAMESPACE}".encode()
    writer.write(b"POST /predict HTTP/1.0\r\nHost: " + host + b"\r\nContent-Length: 1\r\n\r\nx")
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer.split(b"\r\n", 1)[0]


async def test_http_1_0_is_answered_warm_and_cold(rig: Rig) -> None:
    await rig.served()
    await rig.gateway()
    asked = asyncio.create_task(http_1_0(rig))
    await until(lambda: held(rig) == 1)
    await rig.replica(1)
    rig.endpoints(1, 1)
    assert b" 200 " in await asked + b" "
    assert b" 200 " in await http_1_0(rig) + b" "


async def test_an_id_that_the_client_uses_again_is_another_request(rig: Rig) -> None:
    """The first one takes two replicas down and gets 502; the next one is innocent."""
    for host in (1, 2):
        await rig.replica(host, mode="reset")
    rig.version(1)
    rig.endpoints(1, 1, 2)
    rig.route({1: 100})
    await rig.gateway()
    await rig.acknowledged()
    headers = {"x-request-id": "the-same-each-time"}
    assert (await rig.ask(headers=headers)).code == 502
    rig.endpoints(1)
    await rig.fed(1)
    asked = asyncio.create_task(rig.ask(headers=headers))
    await asyncio.sleep(0.3)
    await rig.replica(3)
    rig.endpoints(1, 3)
    assert (await asked).code == 200
