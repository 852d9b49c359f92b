"""The server of the holder: requests of Envoys in any pieces, and what no Envoy sends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.gateway.requests.envoy_server import (
    MAX_HEAD_BYTES,
    EnvoyConnection,
    EnvoyRequest,
)

HEAD = b"POST /\xe9?a b HTTP/1.1\r\nhost: m.n\r\nX-Own: \xff\r\nx-own: 2\r\nexpect: me\r\n"
LENGTH = HEAD + b"content-length: 5\r\n\r\nhello"
CHUNKS = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
TRAILERS = CHUNKS[:-2] + b"x-own: 1\r\n\r\n"
REQUESTS = (HEAD + b"\r\n", LENGTH, CHUNKS, TRAILERS)


class Socket(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.is_closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


async def counted(request: EnvoyRequest) -> web.Response:
    """Answer with all that the holder can know of a request."""
    sizes = [size async for size in request.body_sizes()]
    known = {"method": request.method, "length": request.content_length, "bytes": sum(sizes)}
    return web.json_response({**known, "own": request.headers.get("x-own")})


def connected(handler: Callable[[EnvoyRequest], Awaitable[web.Response]] = counted):
    connection, socket = EnvoyConnection(handler, set()), Socket()
    connection.connection_made(socket)
    return connection, socket


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@given(which=st.sampled_from(REQUESTS), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_a_request_in_any_pieces_is_the_same_request(which, cuts):
    async def answers(places: list[int]) -> bytes:
        connection, socket = connected()
        for _ in range(2):
            for begin, end in zip([0, *places], [*places, len(which)], strict=True):
                connection.data_received(which[begin:end])
            await settled()
        assert not socket.is_closed
        return socket.written

    whole = asyncio.run(answers([]))
    assert asyncio.run(answers(sorted(min(cut, len(which)) for cut in cuts))) == whole
    size = 0 if which is REQUESTS[0] else 5
    assert whole.count(b'"bytes": %d' % size) == 2
    assert whole.count(b'"own": "\\u00ff"') == 2


@given(data=st.binary(max_size=300), after=st.sampled_from([b"", *REQUESTS]))
def test_whatever_arrives_nothing_is_raised(data, after):
    async def fed() -> None:
        connection, _ = connected()
        connection.data_received(after)
        connection.data_received(data)
        await settled()
        connection.connection_lost(None)

    asyncio.run(fed())


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEAD_BYTES + 1),
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
        b"POST / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_no_envoy_writes_ends_the_connection(data):
    connection, socket = connected()
    connection.data_received(data)
    assert socket.is_closed


async def test_an_answer_to_head_has_no_body():
    connection, socket = connected()
    connection.data_received(b"HEAD / HTTP/1.1\r\n\r\n")
    await settled()
    assert socket.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert socket.written.endswith(b"\r\n\r\n")


async def test_a_client_that_leaves_ends_its_request():
    ended = asyncio.Event()

    async def held(_: EnvoyRequest) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return web.Response()

    connection, _ = connected(held)
    connection.data_received(LENGTH)
    await settled()
    connection.connection_lost(None)
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_fault_of_the_holder_is_answered():
    async def broken(_: EnvoyRequest) -> web.Response:
        raise KeyError("x")

    connection, socket = connected(broken)
    connection.data_received(LENGTH)
    await settled()
    assert socket.written.startswith(b"HTTP/1.1 500 ")


async def test_what_follows_a_request_for_another_protocol_is_no_request():
    connection, socket = connected()
    connection.data_received(HEAD + b"connection: upgrade\r\nupgrade: own\r\n\r\n\x81\x05hello")
    connection.data_received(LENGTH)
    await settled()
    assert socket.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert socket.is_closed
