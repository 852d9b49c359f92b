"""HTTP/1.1 server of the holder: it reads what Envoys write, and nothing else.

`agent` starts it. It never forwards a request, so it needs neither the path nor the client's
headers, and has no reason to refuse any. Servers for applications refuse some that Envoy takes:
an unusual method, bytes above 127 in a path, an `Expect` header. Such a request passes while the
model is warm, so it must pass while it is cold. Their refusal also ends the connection, which
ejects the holder for everybody. Must never keep a body, and never raise for what arrives.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from aiohttp import web

from modelfleet.listening import BACKLOG, listening_socket

log = structlog.get_logger()

MAX_HEAD_BYTES = 1 << 18
"""Bytes of a request line with headers; Envoy takes 60 KiB from a client."""
STOP_SECONDS = 1.0
"""Longest wait for answers when the server stops."""
_END_OF_HEAD, _END_OF_LINE = b"\r\n\r\n", b"\r\n"


@dataclass(eq=False, slots=True)
class EnvoyRequest:
    """A request of an Envoy. `headers` have names in lower case and their first values.

    `content_length` in bytes; None if the body comes in chunks.
    """

    method: str
    headers: Mapping[str, str]
    content_length: int | None
    _sizes: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def body_sizes(self) -> AsyncIterator[int]:
        """Yield the number of bytes in each part of the body as it arrives, until its end."""
        while size := await self._sizes.get():
            yield size

    def count(self, size: int) -> None:
        """Take the size of the next part; 0 is the end of the body."""
        self._sizes.put_nowait(size)


Handler = Callable[[EnvoyRequest], Awaitable[web.Response]]


class EnvoyServer:
    """Connections of Envoys to one handler."""

    def __init__(self, handler: Handler) -> None:
        """Not listening yet."""
        self._handler = handler
        self._server: asyncio.Server | None = None
        self.connections: set[EnvoyConnection] = set()

    async def start(self, address: str, port: int) -> None:
        """Listen at an address; an empty one means every address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: EnvoyConnection(self._handler, self.connections),
            sock=listening_socket(address, port),
            # asyncio listens anew, with a queue of 100: a burst of held requests is longer.
            backlog=BACKLOG,
        )

    async def stop(self) -> None:
        """Stop listening, give answers under way a moment, and close all connections."""
        if self._server is not None:
            self._server.close()
        tasks = [c.task for c in self.connections if c.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for connection in list(self.connections):
            connection.close()


class EnvoyConnection(asyncio.Protocol):
    """One connection; Envoy sends the next request after the answer to the last one."""

    def __init__(self, handler: Handler, connections: "set[EnvoyConnection]") -> None:
        """`connections` has this one while it is open."""
        self._handler = handler
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._request: EnvoyRequest | None = None
        """The request whose body arrives."""
        self._left = 0
        """Bytes of the body, or of this chunk, that have not arrived."""
        self._is_in_trailers = False
        self._is_tunnel = False
        """Whether the request asks for another protocol: what follows it has no form and no end."""
        self.task: asyncio.Task[None] | None = None
        """The answer under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        """End the request: its client left, or its Envoy ended."""
        self._connections.discard(self)
        self._transport = None
        if self.task is not None:
            self.task.cancel()

    def close(self) -> None:
        """Close it after what was written."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Read on; what no Envoy writes ends the connection."""
        if self._is_tunnel:
            return
        self._buffer += data
        try:
            while self._step():
                pass
        except ValueError as error:
            log.warning("not from an Envoy", error=str(error)[:200])
            self._buffer.clear()
            self.close()

    def _step(self) -> bool:
        """Read one part of a request; return whether there may be another part.

        Raises ValueError for anything that no Envoy writes.
        """
        if self._request is None:
            return self._read_head()
        if self._left:
            part = min(self._left, len(self._buffer))
            del self._buffer[:part]
            self._left -= part
            if part:
                self._request.count(part)
            if not self._left and self._request.content_length is not None:
                self._end_body()
            return part > 0
        return self._read_line()

    def _read_head(self) -> bool:
        head = self._take_until(_END_OF_HEAD)
        if head is None:
            return False
        line, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for text in lines:
            name, _, value = text.partition(":")
            headers.setdefault(name.lower(), value.strip(" \t"))
        is_tunnel = "upgrade" in headers
        is_chunked = headers.get("transfer-encoding") == "chunked" and not is_tunnel
        # What follows an upgrade is no body, whatever length the client names.
        length = None if is_chunked else 0 if is_tunnel else int(headers.get("content-length", "0"))
        if self.task is not None or (length or 0) < 0:
            raise ValueError("a request before the last answer, or of a negative length")
        self._request = EnvoyRequest(line.split(" ", 1)[0], headers, length)
        self._left = length or 0
        self.task = asyncio.create_task(self._answer(self._request), name="hold")
        self._is_tunnel = is_tunnel
        if length == 0:
            self._end_body()
        return not self._is_tunnel

    def _take_until(self, mark: bytes) -> bytes | None:
        """Take what comes before a mark; None while the mark has not arrived."""
        end = self._buffer.find(mark)
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ValueError("a head or a line without an end")
            return None
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return taken

    def _read_line(self) -> bool:
        """Read the line before a chunk, or one of those after the last chunk."""
        line = self._take_until(_END_OF_LINE)
        if line is None:
            return False
        if self._is_in_trailers:
            if not line:
                self._end_body()
            return True
        if not line:
            return True  # the end of the chunk before
        size = int(line.split(b";", 1)[0], 16)
        if size < 0:
            raise ValueError("a chunk of a negative length")
        self._is_in_trailers = size == 0
        self._left = size
        return True

    def _end_body(self) -> None:
        if self._request is not None:
            self._request.count(0)
        self._request, self._is_in_trailers = None, False

    async def _answer(self, request: EnvoyRequest) -> None:
        try:
            response = await self._handler(request)
        except Exception as error:  # a fault of ours must not hold the client for ever
            log.exception("the holder failed", error=repr(error))
            response = web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        self.task = None
        if self._transport is not None:
            self._transport.write(_written(response, has_body=request.method != "HEAD"))
            if self._is_tunnel:
                self.close()


def _written(response: web.Response, *, has_body: bool) -> bytes:
    """Return the bytes of an answer."""
    body = response.body if isinstance(response.body, bytes) else b""
    with contextlib.suppress(KeyError):
        del response.headers["Content-Length"]
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body if has_body else b"")
