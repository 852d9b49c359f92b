"""A replica that takes everything and answers with what it saw, byte for byte.

Used by the drawn requests. It is no web framework on purpose: one that refuses what the holder
refuses, too, would hide the difference. It reads exactly what Envoy writes.
"""

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass

from tests.gateway.servers import PORT

PRIVATE = (b"x-modelfleet-", b"x-envoy-attempt-count")
"""Headers of the gateway for its replicas; they say which attempt this is, and when it began."""
LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as it came: first line, headers in their order, body, trailers."""

    line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


async def _fields(reader: asyncio.StreamReader) -> tuple[tuple[bytes, bytes], ...]:
    found = []
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line[:-2].partition(b":")
        found.append((name, value.lstrip(b" ")))
    return tuple(found)


async def read_message(reader: asyncio.StreamReader, asked: bytes = b"") -> Message:
    """The next request, or with `asked` (a method) the answer to it.

    Raises IncompleteReadError where the connection ends before.
    """
    line = (await reader.readuntil(b"\r\n"))[:-2]
    message = Message(line, await _fields(reader))
    has_none = asked == b"HEAD" or (asked and line.split(b" ")[1][:1] == b"1")
    if has_none or (asked and line.split(b" ")[1] in {b"204", b"304"}):
        return message
    if message.header(b"transfer-encoding") == b"chunked":
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        return Message(line, message.headers, bytes(body), await _fields(reader))
    length = message.header(b"content-length")
    if length is None:
        return Message(line, message.headers, await reader.read() if asked else b"")
    return Message(line, message.headers, await reader.readexactly(int(length)))


class EchoServer:
    """One replica on a loopback address of its own."""

    def __init__(self, address: str) -> None:
        """Not listening yet."""
        self.address = address
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> "EchoServer":
        """Listen."""
        self._server = await asyncio.start_server(
            self._serve, self.address, PORT, limit=LIMIT, backlog=1024, reuse_address=True
        )
        return self

    async def stop(self) -> None:
        """Close the port and what is open."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await read_message(reader)
                writer.write(self._answer(request))
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    def _answer(self, request: Message) -> bytes:
        seen = described(request)
        head = b"HTTP/1.1 200 OK\r\nx-seen: %s\r\ncontent-length: %d\r\n\r\n"
        digest = hashlib.sha256(seen).hexdigest().encode()
        is_head = request.line.startswith(b"HEAD ")
        return head % (digest, len(seen)) + (b"" if is_head else seen)


def described(request: Message) -> bytes:
    """All that the client sent, as it arrived."""
    lines = [request.line]
    for name, value in (*request.headers, *request.trailers):
        is_made_id = name.lower() == b"x-request-id" and not value.startswith(b"own")
        if not name.lower().startswith(PRIVATE) and not is_made_id:
            lines.append(name + b": " + value)
    body = f"{len(request.body)} bytes {hashlib.sha256(request.body).hexdigest()}"
    return b"\n".join([*lines, body.encode()])
