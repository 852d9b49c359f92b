"""Requests as clients of all kinds send them: drawn, written to a socket, and their answers.

Used by the property that a request finds the same answer cold and warm. What is drawn is small (no
bytes of bodies, only sizes), so that a counterexample is short.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from hypothesis import strategies as st

from tests.gateway.echo import LIMIT, read_message

BOUND = 256 * 1024
"""Bytes of `maxReplayBytes` in the drawn runs."""
HOSTS = (
    b"churn.team-a",
    b"CHURN.team-A",
    b"churn.team-a.",
    b"churn.team-a:80",
    b"churn.team-a.svc",
)
METHODS = (
    *("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "SEARCH", "PROPFIND"),
    *("PURGE", "M-SEARCH", "QUERY", "LINK", "REPORT", "OWN", "get", "A-b_c!"),
)
SEGMENTS = (
    *("", ".", "..", "a", "predict", "v2", "%2F", "%2f", "%2e%2e", "%00", "%20", "%", "%zz", "+"),
    *(
        "a;b=1",
        "a:b",
        "@",
        "~",
        "*",
        "'",
        '"',
        "<>",
        "{}",
        "|",
        "^",
        "`",
        "[x]",
        "\\",
        "é",
        "%C3%A4",
    ),
    *("http:", "x" * 4000, ",", "$", "(", ")", "&", "=", "!", "a%252Fb", "\x7f", "\xff"),
)
QUERIES = (
    *(None, "", "?", "x=1", "x=%20+", "a&a&", "x=/../", "[]", "x={}", "é", "\xff", "a#b", "%"),
    *("u" * 20_000, "x=http://h/", "'\"<>", "\\", "|", "a=1;b=2", "x=%00"),
)
NAMES = (
    *("x-own", "X-Own", "x-own-2", "cookie", "Cookie", "accept", "content-type", "te", "expect"),
    *("authorization", "user-agent", "x-request-id", "x-forwarded-for", "x-forwarded-proto"),
    *("via", "forwarded", "range", "if-match", "connection", "keep-alive", "proxy-connection"),
    *(
        "content-encoding",
        "accept-encoding",
        "x_own",
        "x.own",
        "!#$%&'*+-.^_`|~1",
        "date",
        "origin",
    ),
    *("traceparent", "x-modelfleet-model", "x-modelfleet-retry", "x-envoy-attempt-count"),
    *("x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms", "content-md5", "server", "trailer"),
    *(
        "sec-websocket-key",
        "x-http-method-override",
        "max-forwards",
        "warning",
        "host2",
        "early-data",
    ),
)
VALUES = (
    *("", "own", "own value", " own ", "a,b", "a, b", "a;b=1", "a=1; b=2", '"quoted"', "é", "\xff"),
    *("\t", "a\tb", "close", "x-own", "keep-alive, x-own", "trailers", "gzip", "br", "zstd", "own"),
    *("identity", "gzip, br", "100-continue", "200-ok", "application/json", "application/grpc"),
    *("text/event-stream", "multipart/form-data", "multipart/form-data; boundary=x", "h" * 5000),
    *(
        "0",
        "1",
        "-1",
        "99999999999999999999",
        "bytes=0-1",
        "*/*",
        "2026-01-01",
        "\x80\x81",
        "http://x",
    ),
)
SIZES = (0, 1, 2, 1023, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, BOUND - 1, BOUND)
CHUNKS = (1, 2, 7, 4096, 16_384, 65_537)
EXTENSIONS = ("", ";a", ";a=1", ';a="b c"', "; a = 1")
CUT_OFF = "cut off"
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer"})


@dataclass(frozen=True)
class DrawnRequest:
    """One request of a client. `chunk` 0: with Content-Length; `pieces`: writes to the socket."""

    wire: str = "1.1"
    method: str = "POST"
    path: tuple[str, ...] = ("predict",)
    query: str | None = None
    is_absolute: bool = False
    host: bytes = HOSTS[0]
    headers: tuple[tuple[str, str], ...] = ()
    many: int = 0
    size: int | None = 1
    chunk: int = 0
    extension: str = ""
    has_trailer: bool = False
    is_twice: bool = False
    pieces: int = 1

    @property
    def target(self) -> bytes:
        """Path and query."""
        query = "" if self.query is None else f"?{self.query}"
        return f"/{'/'.join(self.path)}{query}".encode("latin-1")

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The drawn headers, and `many` more."""
        more = [(f"x-own-{n}", "h") for n in range(self.many)]
        return [(k.encode("latin-1"), v.encode("latin-1")) for k, v in (*self.headers, *more)]

    @property
    def body(self) -> bytes:
        """Bytes that depend on the size only."""
        return random.Random(self.size).randbytes(self.size or 0)


REQUESTS = st.builds(
    DrawnRequest,
    wire=st.sampled_from(["1.1", "2", "1.0"]),
    method=st.sampled_from(["POST", "GET", *METHODS]),
    path=st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map(tuple),
    query=st.sampled_from(QUERIES),
    is_absolute=st.sampled_from([False, False, False, True]),
    host=st.sampled_from(HOSTS),
    headers=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4).map(
        tuple
    ),
    many=st.sampled_from([0, 0, 0, 10, 80]),
    size=st.sampled_from([None, *SIZES]),
    chunk=st.sampled_from([0, 0, *CHUNKS]),
    extension=st.sampled_from(EXTENSIONS),
    has_trailer=st.booleans(),
    is_twice=st.sampled_from([False, False, False, True]),
    pieces=st.integers(1, 4),
)


def written(request: DrawnRequest) -> bytes:
    """The bytes of an HTTP/1 client."""
    scheme = b"http://" + request.host if request.is_absolute else b""
    version = b"HTTP/" + request.wire.encode()
    lines = [b" ".join([request.method.encode(), scheme + request.target, version])]
    lines += [b"%s: %s" % field for field in [(b"Host", request.host), *request.fields]]
    body = request.body
    if request.chunk and request.wire == "1.1" and request.size is not None:
        lines.append(b"Transfer-Encoding: chunked")
        body = _chunked(request)
    elif request.size is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def _chunked(request: DrawnRequest) -> bytes:
    body, parts = request.body, []
    # Not more than a thousand chunks: Envoy closes what looks like an attack.
    size = max(request.chunk, len(body) // 1000)
    for at in range(0, len(body), size):
        part = body[at : at + size]
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), request.extension.encode(), part))
    trailer = b"x-own-trailer: 1\r\n" if request.has_trailer else b""
    return b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


async def answers(request: DrawnRequest, address: str, port: int) -> list[Any]:
    """All that the client gets for it: status, headers without the date, body."""
    reader, writer = await asyncio.open_connection(address, port, limit=LIMIT)
    try:
        if request.wire == "2":
            return [await _on_http2(request, reader, writer)]
        data = written(request)
        number = 1 + (request.is_twice and request.wire == "1.1")
        step = -(-len(data) // request.pieces)
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            await asyncio.sleep(0)
        # The second one comes behind the first on the same connection.
        writer.write(data * (number - 1))
        return _as_far_as_refused([await _next_answer(request, reader) for _ in range(number)])
    finally:
        writer.close()


def _as_far_as_refused(got: list[Any]) -> list[Any]:
    """What Envoy refuses before it knows the model is cut off; how far that gets is chance.

    It closes the connection while the client still writes: the client may not even see the 400.
    """
    for number, answer in enumerate(got):
        is_refusal = answer == CUT_OFF or (
            answer[0].endswith(b"400 Bad Request") and (b"connection", b"close") in answer[1]
        )
        if is_refusal:
            return [*got[:number], CUT_OFF]
    return got


async def _next_answer(request: DrawnRequest, reader: asyncio.StreamReader) -> Any:
    try:
        while True:
            answer = await read_message(reader, request.method.encode())
            if b" 100 " not in answer.line + b" ":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        return CUT_OFF
    kept = [field for field in answer.headers if field[0] != b"date"]
    return answer.line, kept, answer.body, answer.trailers


async def _on_http2(
    request: DrawnRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Any:
    config = H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    connection = H2Connection(config)
    connection.initiate_connection()
    has_body = request.size is not None
    connection.send_headers(1, _http2_head(request), end_stream=not has_body)
    left = memoryview(request.body)
    is_sent, seen = not has_body, _Http2Answer()
    while not seen.is_over:
        while not is_sent and not connection.streams[1].closed:
            window = min(
                connection.local_flow_control_window(1), connection.max_outbound_frame_size
            )
            part = left[: min(window, request.chunk or 16_384)]
            if left and not part:
                break
            left = left[len(part) :]
            is_sent = not left
            connection.send_data(1, bytes(part), end_stream=is_sent and not request.has_trailer)
            if is_sent and request.has_trailer:
                connection.send_headers(1, [(b"x-own-trailer", b"1")], end_stream=True)
        writer.write(connection.data_to_send())
        try:
            data = await reader.read(65_536)
        except ConnectionError:
            data = b""
        if not data:
            return CUT_OFF
        for event in connection.receive_data(data):
            seen.take(event)
            if isinstance(event, DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, 1)
    return seen.result


def _http2_head(request: DrawnRequest) -> list[tuple[bytes, bytes]]:
    return [
        (b":method", request.method.encode()),
        (b":scheme", b"http"),
        (b":authority", request.host),
        (b":path", request.target),
        # Upper case and hop-by-hop headers are no HTTP/2: those are the client's own fault.
        *((k.lower(), v.strip()) for k, v in request.fields if k.decode("latin-1") not in _HOP),
    ]


class _Http2Answer:
    """Events of one stream until its end."""

    def __init__(self) -> None:
        self.is_over = False
        self._parts: list[Any] = []
        self._body = b""

    @property
    def result(self) -> Any:
        return self._parts, self._body

    def take(self, event: Any) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self._parts.append([field for field in event.headers if field[0] != b"date"])
        elif isinstance(event, DataReceived):
            self._body += event.data
        elif isinstance(event, StreamReset):
            self._parts.append(ErrorCodes(event.error_code))
            self.is_over = True
        elif isinstance(event, StreamEnded):
            self.is_over = True
