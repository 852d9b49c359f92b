"""Server of the stream to the leader: HTTPS with a certificate and a token from a mounted Secret.

`agent` runs it. Without the files the port stays closed, which is logged once. The files are read
again every few seconds. When their content changed, the streams end: the leader connects with the
new one. Files that go away change nothing. Must never serve without the token, and never log it.
"""

import asyncio
import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from modelfleet.link.feed import FeedReader, LeaderFeed
from modelfleet.listening import listening_socket

log = structlog.get_logger()

LOOK_SECONDS = 2.0
WRITE_SECONDS = 5.0
CERTIFICATE, KEY, TOKEN = "tls.crt", "tls.key", "token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content of the mounted Secret."""

    certificate: bytes
    key: bytes
    token: bytes


def read_credentials(directory: Path) -> Credentials | None:
    """Return the content of the three files; None while one is absent or empty."""
    try:
        parts = [(directory / name).read_bytes() for name in (CERTIFICATE, KEY, TOKEN)]
    except OSError:
        return None
    if not all(part.strip() for part in parts):
        return None
    return Credentials(parts[0], parts[1], parts[2].strip())


class LinkServer:
    """Serves `GET /v1/stream`."""

    def __init__(self, feed: LeaderFeed, directory: Path, address: str, port: int) -> None:
        """`directory` contains `tls.crt`, `tls.key` and `token`."""
        self._feed = feed
        self._directory = directory
        self._address = address
        self._port = port
        self._credentials: Credentials | None = None
        self._context: ssl.SSLContext | None = None
        self._runner: web.AppRunner | None = None
        self._has_logged_closed = False

    async def run(self) -> None:
        """Follow the files until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            if self._runner is not None:
                await self._runner.cleanup()

    async def _look(self) -> None:
        credentials = await asyncio.to_thread(read_credentials, self._directory)
        if credentials is None:
            if self._credentials is None and not self._has_logged_closed:
                self._has_logged_closed = True
                log.info("link closed", why="no certificate and token", at=str(self._directory))
            return
        if credentials == self._credentials:
            return
        try:
            await self._renew()
        except (ssl.SSLError, OSError) as error:
            # Half-written files: the next look reads them whole.
            log.warning("link files unreadable", error=repr(error))
            return
        is_other, self._credentials = self._credentials is not None, credentials
        if is_other:
            self._feed.end_readers("certificate or token changed")
        log.info("link open", port=self._port, is_other=is_other)

    async def _renew(self) -> None:
        files = (str(self._directory / CERTIFICATE), str(self._directory / KEY))
        if self._context is not None:
            await asyncio.to_thread(self._context.load_cert_chain, *files)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        await asyncio.to_thread(context.load_cert_chain, *files)
        application = web.Application()
        application.router.add_get("/v1/stream", self.stream)
        # Cancellation ends the stream of a vanished leader at once, not at the next write.
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        listening = listening_socket(self._address, self._port)
        await web.SockSite(runner, listening, ssl_context=context).start()
        self._context, self._runner = context, runner

    def _is_allowed(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self._credentials is not None and hmac.compare_digest(
            token.encode(), self._credentials.token
        )

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send the whole state, then each change, until either side ends the stream."""
        if not self._is_allowed(request):
            return web.json_response({"error": "token refused"}, status=401)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        reader = self._feed.add_reader()
        try:
            await self._copy(reader, response)
        except (ConnectionError, TimeoutError) as error:
            log.info("link reader left", error=repr(error))
        finally:
            self._feed.remove_reader(reader)
        return response

    @staticmethod
    async def _copy(reader: FeedReader, response: web.StreamResponse) -> None:
        while (line := await reader.queue.get()) is not None:
            lines = [line]
            while not reader.queue.empty() and (more := reader.queue.get_nowait()) is not None:
                lines.append(more)
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(b"".join(lines))
            if reader.is_dropped:
                break
        log.warning("link reader dropped", why=reader.why)
