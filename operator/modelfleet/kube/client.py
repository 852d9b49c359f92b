"""Sender of requests to the API server: bounded, with time-outs and typed errors.

Reflectors, applier, publisher and lease use it. Kopf gets sessions of the same making. Must never
retry a write by itself: the next turn decides anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from modelfleet import __version__
from modelfleet.api.reasons import Reason
from modelfleet.errors import Bug, Conflict, Forbidden, Gone, Refused, Transient
from modelfleet.kube.access import Access
from modelfleet.kube.reachability import Reachability
from modelfleet.kube.resource import ResourceKind
from modelfleet.telemetry import metrics

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
REQUEST_SECONDS = 30.0
_OK_BELOW = 300
_FAILED_FROM = 500
_WATCH_LINE_LIMIT = 16 * 1024 * 1024
_PAGE = 500


class ExpiredError(Transient):
    """410: the resource version is too old; list again."""


class TakenError(Conflict):
    """409 on a POST: an object of that name exists."""


class KubeClient:
    """Requests as values in, plain dicts out. `component` shows in the audit log."""

    def __init__(
        self, access: Access, *, concurrency: int = 64, component: str = "operator"
    ) -> None:
        """`concurrency` bounds the requests under way, watches not counted."""
        self.access = access
        self.reachability = Reachability()
        self._limit = asyncio.Semaphore(concurrency)
        self._agent = f"modelfleet-{component}/{__version__}"
        self._session: aiohttp.ClientSession | None = None
        self._sessions: list[aiohttp.ClientSession] = []

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client's own session, created at the first use inside the running loop."""
        if self._session is None or self._session.closed:
            self._session = self.new_session()
        return self._session

    def new_session(self, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        """Return one more session with the same access: Kopf closes the one that it has."""
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self.access.tls if self.access.tls is not None else True
        )
        session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._agent},
            middlewares=(*middlewares, self._authorize),
            read_bufsize=2**20,
        )
        self._sessions = [each for each in self._sessions if not each.closed] + [session]
        return session

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = self.access.token()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions:
            await session.close()

    async def get(self, resource: ResourceKind, namespace: str | None, name: str) -> dict[str, Any]:
        """Return one object.

        Raises Gone when it does not exist.
        """
        return await self._send("GET", resource.path(namespace, name), kind=resource.kind)

    async def post(
        self, resource: ResourceKind, namespace: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Create an object.

        Raises TakenError when the name exists.
        """
        return await self._send(
            "POST",
            resource.path(namespace),
            body=body,
            kind=resource.kind,
            params={"fieldManager": "modelfleet"},
        )

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        kind: str,
        content_type: str = MERGE_PATCH,
        manager: str = "modelfleet",
    ) -> dict[str, Any]:
        """Patch an object; server-side apply takes over fields of other managers."""
        params = {"fieldManager": manager}
        if content_type == APPLY_PATCH:
            params["force"] = "true"
        return await self._send(
            "PATCH", path, body=body, kind=kind, params=params, content_type=content_type
        )

    async def put(self, path: str, body: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
        """Replace an object; its resourceVersion must be the newest."""
        return await self._send("PUT", path, body=body, kind=kind)

    async def delete(
        self, resource: ResourceKind, namespace: str, name: str, preconditions: Mapping[str, str]
    ) -> None:
        """Delete exactly the object that was read.

        Raises Gone or Conflict.
        """
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": dict(preconditions),
            "propagationPolicy": "Background",
        }
        await self._send("DELETE", resource.path(namespace, name), body=body, kind=resource.kind)

    async def serves(self, resource: ResourceKind) -> bool:
        """Return whether discovery has the kind; a server that just started has not all of them."""
        group = resource.api_version.partition("/")[0]
        try:
            groups = await self._send("GET", "/apis", kind="APIGroup")
            if group not in {each["name"] for each in groups.get("groups") or []}:
                return False
            path = f"/apis/{resource.api_version}"
            served = await self._send("GET", path, kind="APIResource")
        except Gone:
            return False
        return resource.plural in {each["name"] for each in served.get("resources") or []}

    async def list(
        self,
        resource: ResourceKind,
        namespace: str | None,
        params: Mapping[str, str],
        *,
        on_page: Callable[[], None] = lambda: None,
    ) -> tuple[list[dict[str, Any]], str]:
        """Return all objects, read in pages, with the resource version from which to watch.

        `on_page` is called after each page, as a sign of life.
        """
        items: list[dict[str, Any]] = []
        query = {**params, "limit": str(_PAGE)}
        while True:
            page = await self._send(
                "GET", resource.path(namespace), kind=resource.kind, params=query
            )
            on_page()
            for item in page.get("items") or []:
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
            token = page["metadata"].get("continue")
            if not token:
                return items, page["metadata"]["resourceVersion"]
            query["continue"] = token

    async def watch(
        self,
        resource: ResourceKind,
        namespace: str | None,
        params: Mapping[str, str],
        *,
        silence_seconds: float,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a watch until the server ends it or is silent for too long."""
        url = self.access.server + resource.path(namespace)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds)
        try:
            async with self.session.get(
                url, params={**params, "watch": "true"}, timeout=timeout
            ) as response:
                self._note(response.status)
                if response.status >= _OK_BELOW:
                    retry_after = response.headers.get("Retry-After")
                    raise _error_of(response.status, await response.read(), "GET", retry_after)
                buffer = b""
                async for chunk in response.content.iter_any():
                    self.reachability.answered()
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield orjson.loads(line)
                    if len(buffer) > _WATCH_LINE_LIMIT:
                        msg = f"a watch line of {resource.kind} is too long"
                        raise Bug(msg)
        except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
            msg = f"watch of {resource.kind}: {type(error).__name__}: {error}"
            self.reachability.failed(msg)
            raise Transient(msg) from error

    def _note(self, status: int) -> None:
        if status >= _FAILED_FROM:
            self.reachability.failed(f"it answers with {status}")
        else:
            self.reachability.answered()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        data = None if body is None else orjson.dumps(body)
        headers = {} if data is None else {"Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=10)
        try:
            async with (
                self._limit,
                self.session.request(
                    method,
                    self.access.server + path,
                    data=data,
                    params=params,
                    headers=headers,
                    timeout=timeout,
                ) as response,
            ):
                content = await response.read()
                metrics.API_REQUESTS.labels(method, kind, str(response.status)).inc()
                self._note(response.status)
                if response.status >= _OK_BELOW:
                    retry_after = response.headers.get("Retry-After")
                    raise _error_of(response.status, content, method, retry_after)
                result: dict[str, Any] = orjson.loads(content)
                return result
        except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
            metrics.API_REQUESTS.labels(method, kind, "error").inc()
            msg = f"{method} {path}: {type(error).__name__}: {error}"
            self.reachability.failed(msg)
            raise Transient(msg) from error


def _error_of(status: int, content: bytes, method: str, retry_after: str | None) -> Exception:
    """Return the error of our tree for an answer of the API server."""
    try:
        message = str(orjson.loads(content).get("message", ""))
    except (orjson.JSONDecodeError, AttributeError):
        message = content[:200].decode(errors="replace")
    text = f"{status}: {message[:500]}"
    if status == 404:  # noqa: PLR2004 - HTTP status
        return Gone(text)
    if status == 410:  # noqa: PLR2004 - HTTP status
        return ExpiredError(text)
    if status == 409:  # noqa: PLR2004 - HTTP status
        return TakenError(text) if method == "POST" else Conflict(text)
    if status in {400, 422}:
        return Refused(Reason.INVALID_SPEC, text)
    pause = float(retry_after) if retry_after and retry_after.isdigit() else None
    if status == 403:  # noqa: PLR2004 - HTTP status
        return Forbidden(text, retry_after=pause)
    return Transient(text, retry_after=pause)
