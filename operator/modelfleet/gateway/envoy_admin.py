"""Envoy's admin interface over its Unix socket: the drain, and requests under way at each replica.

`agent` calls it. Must never raise because Envoy does not answer.
"""

import re
from collections.abc import Mapping

import aiohttp
import structlog

log = structlog.get_logger()

_ACTIVE = re.compile(r"^([^/:\s]+)/([^/:\s]+)/pods::(.+)::rq_active::([1-9]\d*)$", re.MULTILINE)
_DOWNSTREAM = re.compile(r"downstream_rq_active: (\d+)$", re.MULTILINE)
_CONNECTIONS = re.compile(r"downstream_cx_active: (\d+)")
PATIENCE_SECONDS = 5.0
PAIRS = 50
"""Runtime keys in one call: the URL must not become too long."""

EndpointKey = tuple[str, str, str]
"""Namespace, version, `ip:port`."""


class EnvoyAdmin:
    """One Envoy's admin interface."""

    def __init__(self, socket: str) -> None:
        """`socket` is the path of the Unix socket."""
        self._socket = socket

    async def begin_drain(self) -> None:
        """Fail health checks and ask clients to close connections; requests are still served."""
        await self._call("POST", "/healthcheck/fail")
        await self._call("POST", "/drain_listeners?graceful&skip_exit")

    async def listens(self) -> bool:
        """Return whether Envoy's listeners accept connections on all workers."""
        text = await self._call("GET", "/stats?filter=^listener_manager.workers_started$")
        return text is not None and text.strip().endswith(": 1")

    async def in_flight(self) -> Mapping[EndpointKey, int] | None:
        """Return requests under way by replica, without zeros; None when Envoy does not answer."""
        text = await self._call("GET", "/clusters")
        return None if text is None else parse_in_flight(text)

    async def active(self) -> int | None:
        """Return the requests that clients have under way; None when Envoy does not answer."""
        text = await self._call("GET", "/stats?filter=^http\\..*downstream_rq_active$")
        return None if text is None else parse_active(text)

    async def connections(self) -> int | None:
        """Return the open client connections, with idle ones; None when Envoy does not answer."""
        text = await self._call("GET", "/stats?filter=^http\\..*downstream_cx_active$")
        return None if text is None else parse_active(text, _CONNECTIONS)

    async def set_runtime_keys(self, changes: Mapping[str, int | None]) -> bool:
        """Set runtime keys, or remove them (None); False when Envoy does not answer."""
        pairs = [f"{key}={'' if value is None else value}" for key, value in changes.items()]
        for begin in range(0, len(pairs), PAIRS):
            path = "/runtime_modify?" + "&".join(pairs[begin : begin + PAIRS])
            if await self._call("POST", path) is None:
                return False
        return True

    async def _call(self, method: str, path: str) -> str | None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.UnixConnector(self._socket), timeout=timeout
                ) as session,
                session.request(method, f"http://envoy{path}") as response,
            ):
                return await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            log.warning("envoy admin failed", path=path, error=repr(error))
            return None


def parse_in_flight(text: str) -> dict[EndpointKey, int]:
    """Return the numbers in the `rq_active` lines of `/clusters` for the clusters of replicas."""
    return {
        (namespace, version, endpoint): int(number)
        for namespace, version, endpoint, number in _ACTIVE.findall(text)
    }


def parse_active(text: str, pattern: re.Pattern[str] = _DOWNSTREAM) -> int:
    """Return the sum over the listeners, without the admin interface."""
    return sum(
        int(number)
        for line in text.splitlines()
        if not line.startswith("http.admin.")
        for number in pattern.findall(line)
    )
