"""Reflector: list and watch of one kind into a sink, for as long as it runs.

`compose` uses it for the operator's stores and the agent's watched models. After a list the sink
removes the objects that are not in it, so a deletion during a gap is never missed. Must never end
by itself, and never list or watch again without a pause, whatever the server or the sink does.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from modelfleet.backoff import Backoff
from modelfleet.errors import ModelfleetError
from modelfleet.kube.client import ExpiredError, KubeClient
from modelfleet.kube.resource import ResourceKind
from modelfleet.telemetry import metrics

SERVER_SECONDS = 300
SILENCE_SECONDS = 75.0
"""Bookmarks come about every minute; a watch that is silent for longer than this is dead."""
HEALTHY_SECONDS = 30.0
"""A watch that lasted for so long was well: the next failure begins with a short pause again."""

log = structlog.get_logger()


class Sink(Protocol):
    """Receiver of objects: `kube.store`, or the feed of the agent."""

    def put(self, item: dict[str, Any]) -> None:
        """Take a new or changed object."""
        ...

    def remove(self, item: dict[str, Any]) -> None:
        """Take a deleted object."""
        ...

    def replace(
        self, items: list[dict[str, Any]], version: str, namespace: str | None = None
    ) -> None:
        """Take all objects that existed at `version`, of one namespace if it is given."""
        ...


class Reflector:
    """One kind, optionally one namespace and one label selector."""

    def __init__(
        self,
        client: KubeClient,
        resource: ResourceKind,
        sink: Sink,
        *,
        namespace: str | None = None,
        selector: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        """`monotonic` gives the time of the last event in seconds, `backoff` the pauses."""
        self.resource = resource
        self.synced = asyncio.Event()
        self.last_event_at = float("-inf")
        self._active_at = monotonic()
        self._backoff = backoff or Backoff()
        self._client = client
        self._sink = sink
        self._namespace = namespace
        self._params: Mapping[str, str] = {"labelSelector": selector} if selector else {}
        self._monotonic = monotonic
        self._version: str | None = None
        self._watched_from = float("inf")

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last event, bookmark or list."""
        return self._monotonic() - self.last_event_at

    @property
    def stuck_seconds(self) -> float:
        """Seconds without any progress: no event, page, answer, or failed attempt.

        An API server that is away does not raise it, because attempts fail in time.
        """
        return self._monotonic() - self._active_at

    async def run(self) -> None:
        """List and watch until cancelled; after each failure pause and try again."""
        while True:
            failure: Exception | None = None
            self._watched_from = float("inf")
            try:
                if self._version is None:
                    await self._list()
                self._watched_from = self._monotonic()
                await self._watch()
            except ModelfleetError as error:
                failure = error
                if isinstance(error, ExpiredError):
                    self._version = None
            except Exception as error:  # noqa: BLE001 - one odd object must not end the watch
                failure = error
                self._version = None
            await self._pause(failure)

    async def _pause(self, failure: Exception | None) -> None:
        """Pause, unless a watch that had lasted long has ended as it should."""
        self._active_at = now = self._monotonic()
        if now - self._watched_from >= HEALTHY_SECONDS:
            self._backoff.reset()
            if failure is None:
                return
        if failure is not None:
            metrics.WATCH_FAILURES.labels(self.resource.kind).inc()
            self._log(failure)
        await self._backoff.pause(failure)
        self._active_at = self._monotonic()

    def _log(self, failure: Exception) -> None:
        """Log the first failure of a series, and each one that is a fault of ours."""
        kind = self.resource.kind
        if not isinstance(failure, ModelfleetError):
            log.error("watch broke", kind=kind, exc_info=failure)
        elif self._backoff.failures == 0:
            log.warning("watch failed", kind=kind, error=str(failure))
        else:
            log.debug("watch failed", kind=kind, error=str(failure))

    async def refresh(self) -> None:
        """List once more beside the watch: then the sink has what the server has had since.

        Raises ModelfleetError.
        """
        await self._replace()

    async def _list(self) -> None:
        self._version = await self._replace()
        self.synced.set()

    async def _replace(self) -> str:
        items, version = await self._client.list(
            self.resource, self._namespace, self._params, on_page=self._note_progress
        )
        self._sink.replace(items, version, self._namespace)
        self._note_progress()
        self.last_event_at = self._monotonic()
        return version

    def _note_progress(self) -> None:
        self._active_at = self._monotonic()

    async def _watch(self) -> None:
        params = {
            **self._params,
            "resourceVersion": self._version or "",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(SERVER_SECONDS + random.randrange(60)),  # noqa: S311 - jitter
        }
        async for event in self._client.watch(
            self.resource, self._namespace, params, silence_seconds=SILENCE_SECONDS
        ):
            self.last_event_at = self._active_at = self._monotonic()
            self._handle(event)

    def _handle(self, event: dict[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            # A new list is right after any error; 410 is the usual one.
            msg = f"watch of {self.resource.kind}: {item.get('message', '')}"
            asked = (item.get("details") or {}).get("retryAfterSeconds")
            raise ExpiredError(msg, retry_after=asked if isinstance(asked, int) else None)
        self._version = item["metadata"]["resourceVersion"]
        if kind == "DELETED":
            self._sink.remove(item)
        elif kind in {"ADDED", "MODIFIED"}:
            self._sink.put(item)
