"""Bodies of requests: read within bounds, unpacked within bounds.

`server.app` reads and unpacks with it. Bytes are counted while they arrive, so that neither a body
without Content-Length nor many bodies at once end the process for want of memory. Must never parse.
"""

import contextlib
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from modelfleet.server.base import RequestError

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Argument of zlib for each encoding."""
_RAW_DEFLATE = -15


class BodyReader:
    """Reads bodies of up to `most_bytes` each; all that wait may have `most_waiting_bytes`."""

    def __init__(self, most_bytes: int, most_waiting_bytes: int) -> None:
        """Begin with no bytes in memory; one body may always have its bytes."""
        self._most = most_bytes
        self._most_waiting = max(most_bytes, most_waiting_bytes)
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytearray]:
        """Give the body as it was sent; its bytes count until the block ends.

        Raises RequestError.
        """
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._most:
            raise self._too_large()
        raw = bytearray()
        try:
            async for chunk in request.stream():
                self._count(len(raw), len(chunk))
                raw += chunk
            yield raw
        except ClientDisconnect:
            raise RequestError("the connection ended before the body") from None
        finally:
            self._held -= len(raw)

    def _count(self, size: int, more: int) -> None:
        if size + more > self._most:
            raise self._too_large()
        if self._held + more > self._most_waiting:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise RequestError("too many bytes of other requests wait here", status)
        self._held += more

    def _too_large(self) -> RequestError:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return RequestError(f"the body must be at most {self._most} bytes", status)


def unpacked(raw: bytearray, encoding: str, most_bytes: int) -> bytes | bytearray:
    """Return the body without the encoding of the header Content-Encoding.

    Raises RequestError.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return raw
    if encoding not in _WINDOWS:
        msg = f"Content-Encoding must be gzip, deflate or identity, not {encoding[:60]!r}"
        raise RequestError(
            msg,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    window = _WINDOWS[encoding]
    if encoding == "deflate" and not _has_zlib_head(raw):
        window = _RAW_DEFLATE
    stream = zlib.decompressobj(window)
    try:
        body = stream.decompress(raw, most_bytes + 1)
    except zlib.error as error:
        msg = f"the body is not {encoding}: {error}"
        raise RequestError(msg) from error
    if len(body) > most_bytes:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        msg = f"the unpacked body must be at most {most_bytes} bytes"
        raise RequestError(msg, status)
    if not stream.eof or stream.unused_data:
        msg = f"the body is not one whole {encoding} stream"
        raise RequestError(msg)
    return body


def _has_zlib_head(raw: bytearray) -> bool:
    """Whether deflate comes with the head of zlib, as the standard says; some clients omit it."""
    return len(raw) > 1 and raw[0] & 15 == zlib.DEFLATED and int.from_bytes(raw[:2]) % 31 == 0
