"""A request that breaks off a replica: how often it is sent, and what its neighbours see."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.gateway.rig import CLUSTER_PORT, NAMESPACE, Answer, Rig, until
from tests.gateway.servers import PORT

TWO = "two replicas broke off while they served this request"
ONE = "a replica broke off while it served this request"


def sent(rig: Rig) -> int:
    return sum(sum(server.served.values()) for server in rig.servers.values())


def seen(answer: Answer) -> tuple[int, str]:
    return answer.code, answer.body["error"].split(";")[0]


@asynccontextmanager
async def broken_replicas(rig: Rig, number: int, how: str) -> AsyncIterator[list[str]]:
    """Raw servers that read a request and then fail as `how` says; yields what they read."""
    read: list[str] = []
    servers: list[asyncio.Server] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        read.append(how)
        if how.startswith("ends"):  # as a process that the request ends
            host = writer.get_extra_info("sockname")[0]
            next(s for s in servers if s.sockets and s.sockets[0].getsockname()[0] == host).close()
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n"
        writer.write({"within the head": head, "after the head": head + b"\r\nx"}.get(how, b""))
        await writer.drain()
        await asyncio.sleep(0.1 if "head" in how else 0.0)
        writer.transport.abort()

    starts = [
        asyncio.start_server(serve, f"{rig.network}.1.{host}", PORT)
        for host in range(1, number + 1)
    ]
    servers.extend(await asyncio.gather(*starts))
    try:
        yield read
    finally:
        for server in servers:
            server.close()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


HEADERS, RESET, SETTINGS = 1, 3, 4
END, REFUSED, OK = 0x5, b"\0\0\0\x07", b"\x88"
"""Flags of the only frame of an answer, an error code, and `:status: 200` in HPACK."""


@asynccontextmanager
async def h2_replica(rig: Rig, host: int, how: str) -> AsyncIterator[list[str]]:
    """An HTTP/2 server: `refuses` the stream once and then answers, or `breaks` the connection."""
    read: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(24)  # the preface
        writer.write(frame(SETTINGS, 0, 0))
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] != HEADERS:
                    continue
                read.append(how)
                stream = int.from_bytes(head[5:], "big")
                if how == "breaks":
                    writer.transport.abort()
                    return
                is_refused = len(read) == 1
                answer = frame(HEADERS, END, stream, OK)
                writer.write(frame(RESET, 0, stream, REFUSED) if is_refused else answer)

    server = await asyncio.start_server(serve, f"{rig.network}.1.{host}", PORT)
    try:
        yield read
    finally:
        server.close()


@pytest.mark.parametrize(
    ("replicas", "how", "tries", "words"),
    [
        (1, "ends", 1, ONE),
        (2, "ends", 1, ONE),
        (3, "ends", 2, TWO),
        (4, "ends", 2, TWO),
        (1, "breaks off", 2, TWO),  # it lives: servers close connections for other reasons
        (2, "breaks off", 2, TWO),
        (3, "breaks off", 2, TWO),
        (1, "within the head", 2, TWO),
        (3, "within the head", 2, TWO),
    ],
)
async def test_a_request_that_breaks_off_replicas(
    rig: Rig, replicas: int, how: str, tries: int, words: str
) -> None:
    hosts = range(1, replicas + 1)
    rig.version(1)
    rig.endpoints(1, *hosts)
    rig.route({1: 100}, hold_max_seconds=2)
    gateway = await rig.gateway()
    await rig.fed(1, *hosts)
    async with broken_replicas(rig, replicas, how) as read:
        answer = await rig.ask()
        assert seen(answer) == (502, words)
        assert answer.seconds < 6
    assert len(read) == tries
    assert gateway.agent.traffic.deadly == {"team-a/churn": 1}


async def test_an_answer_that_has_begun_is_never_repeated(rig: Rig) -> None:
    rig.version(1)
    rig.endpoints(1, 1, 2, 3)
    rig.route({1: 100})
    gateway = await rig.gateway()
    await rig.fed(1, 1, 2, 3)
    async with broken_replicas(rig, 3, "after the head") as read:
        with pytest.raises(Exception, match="not completed"):
            await rig.ask()
        assert len(read) == 1
    assert gateway.agent.traffic.deadly == {}


async def test_a_request_that_is_not_idempotent_is_sent_once(rig: Rig) -> None:
    rig.version(1)
    rig.endpoints(1, 1, 2, 3)
    rig.route({1: 100}, idempotent=False)
    await rig.gateway()
    await rig.fed(1, 1, 2, 3)
    async with broken_replicas(rig, 3, "breaks off") as read:
        assert (await rig.ask()).code == 503
        assert len(read) == 1


async def test_a_break_and_a_silence_are_two_tries(rig: Rig) -> None:
    await rig.served(1, 2, 3, request_timeout_seconds=1, hold_max_seconds=20)
    for server in rig.servers.values():
        server.mode, server.delay = "late reset", 0.3
    await rig.gateway()
    await rig.fed(1, 1, 2, 3)
    asked = asyncio.create_task(rig.ask())
    await until(lambda: sent(rig) == 1)
    for server in rig.servers.values():
        if not server.served:
            server.mode, server.delay = "ok", 30.0
    assert (await asked).code == 502
    assert sent(rig) == 2


@pytest.mark.parametrize("second", ["comes back", "is deleted"])
async def test_a_request_waits_until_its_replica_is_explained_or_a_second_is_ready(
    rig: Rig, second: str
) -> None:
    """The one of two that served it dies: the other must not be risked."""
    await rig.served(1, 2, delay=0.5, hold_max_seconds=20)
    await rig.gateway()
    await rig.fed(1, 1, 2)
    asked = asyncio.create_task(rig.ask())
    await until(lambda: sent(rig) == 1)
    dead = next(server for server in rig.servers.values() if server.served)
    other = next(server for server in rig.servers.values() if not server.served)
    await dead.kill()
    await asyncio.sleep(1.5)
    assert not other.served, "the last replica got a request that may have ended the other"
    if second == "comes back":
        await dead.start()
    else:
        rig.endpoints(1, int(other.address.rpartition(".")[2]))
    assert (await asked).code == 200
    assert sent(rig) == 2


async def test_what_was_never_sent_goes_on_to_the_last_replica(rig: Rig) -> None:
    """Two of three are gone: their ports are closed."""
    await rig.served(1, 2, 3)
    await rig.gateway()
    await rig.fed(1, 1, 2, 3)
    for host in (1, 2):
        await rig.servers[f"{rig.network}.1.{host}"].stop()
    answers = [await rig.ask() for _ in range(20)]
    assert {answer.code for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < 3


@pytest.mark.parametrize(("how", "tries", "code"), [("refuses", 2, 200), ("breaks", 2, 502)])
async def test_an_http2_replica(rig: Rig, how: str, tries: int, code: int) -> None:
    """Neither a refused stream nor a broken connection ends the only replica: it listens on."""
    rig.version(1, protocol="H2C")
    rig.endpoints(1, 1)
    rig.route({1: 100}, hold_max_seconds=3)
    await rig.gateway()
    await rig.fed(1, 1)
    async with h2_replica(rig, 1, how) as read:
        assert (await rig.ask()).code == code
        assert len(read) == tries


async def test_a_deadly_request_leaves_replicas_for_all_others(rig: Rig) -> None:
    """Each of them ends a replica of three, which comes back: never are all of them gone."""
    await rig.served(1, 2, 3)
    await rig.gateway()
    await rig.fed(1, 1, 2, 3)
    url = f"http://{rig.gateways[0].address}:{CLUSTER_PORT}/"
    headers = {"Host": f"churn.{NAMESPACE}"}
    for server in rig.servers.values():
        server.mode = "deadly"
    async with rig.load(4, pause=0.01) as load:
        for _ in range(4):
            dies = {**headers, "x-deadly": "1"}
            async with rig.session.post(url, data=b"x", headers=dies) as response:
                assert response.status == 502
            for server in rig.servers.values():
                await server.start() if not server.is_running else None
    assert load.answers.total() > 20
    lost = sum(number for words, number in load.failures.items() if not words.startswith("502"))
    assert lost == 0, load.failures
