"""Bodies stay within their bounds while they are read and unpacked, on the real server too."""

import asyncio
import contextlib
import gzip
import http.client
import json
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from modelfleet.server.app import ModelServer, ServerConfig
from modelfleet.server.base import RequestError
from modelfleet.server.request_body import BodyReader, unpacked
from tests.unit.server.onnx_models import double, request

MOST = 100_000
INFER = "/v2/models/double/infer"


@pytest.fixture
def server(tmp_path) -> ModelServer:
    file = double(tmp_path / "m.onnx")
    server = ModelServer(ServerConfig("double", "", file, 1, MOST, 3 * MOST), lambda error: None)
    asyncio.run(server.load())
    return server


@pytest.fixture
def port(server) -> Iterator[int]:
    """The real server in a thread."""
    running = uvicorn.Server(
        uvicorn.Config(server.app(), port=0, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        pass
    yield running.servers[0].sockets[0].getsockname()[1]
    running.should_exit = True
    thread.join()


def pack_raw(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKERS = {
    ("", bytes),
    ("identity", bytes),
    ("gzip", gzip.compress),
    (" GZIP ", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", pack_raw),
}


@given(st.sampled_from(sorted(PACKERS, key=str)), st.binary(max_size=300), st.integers(0, 300))
def test_packed_bodies_come_back_or_are_too_large(packer, data, most):
    encoding, pack = packer
    packed = bytearray(pack(data))
    if len(data) <= most or encoding in {"", "identity"}:
        assert unpacked(packed, encoding, most) == data
    else:
        with pytest.raises(RequestError) as raised:
            unpacked(packed, encoding, most)
        assert raised.value.status == 413


@given(st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, gzip", "é"]), st.binary())
def test_any_packed_bytes_are_unpacked_or_refused(encoding, data):
    with contextlib.suppress(RequestError):
        assert len(unpacked(bytearray(data), encoding, 50)) <= 50


@pytest.mark.parametrize(
    ("encoding", "body", "status", "words"),
    [
        ("gzip", b"no gzip", 400, "is not gzip"),
        ("gzip", gzip.compress(b"abc")[:-1], 400, "not one whole gzip stream"),
        ("gzip", gzip.compress(b"abc") + b"x", 400, "not one whole gzip stream"),
        ("gzip", b"", 400, "not one whole gzip stream"),
        ("deflate", b"x", 400, "deflate"),
        ("br", b"", 415, "must be gzip, deflate or identity, not 'br'"),
        ("gzip", gzip.compress(bytes(10**8)), 413, "at most 100000 bytes"),
    ],
)
def test_wrong_encodings_are_refused(server, encoding, body, status, words):
    headers = {"Content-Encoding": encoding}
    answer = TestClient(server.app()).post(INFER, content=body, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_a_bomb_is_not_unpacked_whole():
    bomb = bytearray(gzip.compress(bytes(10**8)))
    tracemalloc.start()
    try:
        with pytest.raises(RequestError):
            unpacked(bomb, "gzip", MOST)
        assert tracemalloc.get_traced_memory()[1] < 10 * MOST
    finally:
        tracemalloc.stop()


def post(port: int, body: object, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", INFER, body, headers, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_large_upload_gets_413_and_no_memory(server, port, is_chunked):
    """The rest of the upload is read and thrown away, so that the client gets the answer."""
    chunks = [bytes(100_000)] * 300
    tracemalloc.start()
    try:
        if is_chunked:
            status, answer = post(port, iter(chunks), **{"Transfer-Encoding": "chunked"})
        else:
            status, answer = post(port, iter(chunks), **{"Content-Length": str(30_000_000)})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status == 413
    assert answer == {"error": "the body must be at most 100000 bytes"}
    assert peak < 3_000_000
    assert server._bodies._held == 0


def test_a_chunked_body_within_the_bound_is_served(port):
    text = json.dumps(request([1, 3, 2], [1, 3])).encode()
    status, answer = post(port, iter([text[:9], text[9:]]), **{"Transfer-Encoding": "chunked"})
    assert status == 200
    assert answer["outputs"][1]["data"] == [1]


def asking(chunks: AsyncIterator[bytes], **headers: str) -> Request:
    async def receive() -> dict:
        async for chunk in chunks:
            return {"type": "http.request", "body": chunk, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    encoded = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    return Request({"type": "http", "headers": encoded, "method": "POST"}, receive)


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_all_bodies_together_have_a_bound():
    reader = BodyReader(10, 15)
    async with reader.read(asking(parts(b"12345", b"67890"))) as first:
        assert first == b"1234567890"
        with pytest.raises(RequestError, match="too many bytes of other requests") as raised:
            async with reader.read(asking(parts(b"12345", b"6"))):
                pass
        assert raised.value.status == 503
        async with reader.read(asking(parts(b"12345"))) as second:
            assert second == b"12345"
    async with reader.read(asking(parts(b"12345", b"67890"))) as again:
        assert again == first


@pytest.mark.parametrize("length", ["11", "9" * 30])
async def test_a_length_beyond_the_bound_is_refused_unread(length):
    with pytest.raises(RequestError, match="at most 10 bytes") as raised:
        async with BodyReader(10, 10).read(asking(parts(b""), content_length=length)):
            pass
    assert raised.value.status == 413


async def test_a_connection_that_ends_frees_its_bytes():
    async def receive() -> dict:
        return ends.pop(0)

    ends = [{"type": "http.request", "body": b"12345", "more_body": True}]
    ends.append({"type": "http.disconnect"})
    reader = BodyReader(10, 10)
    with pytest.raises(RequestError, match="connection ended"):
        async with reader.read(Request({"type": "http", "headers": []}, receive)):
            pass
    assert reader._held == 0
