"""Reflector: list and watch of one kind into a sink, for as long as it runs.

`compose` uses it for the operator's stores and the agent's watched models. After a list the sink
removes the objects that are not in it, so a deletion during a gap is never missed.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from modelfleet.errors import ModelfleetError
from modelfleet.kube.client import ExpiredError, KubeClient
from modelfleet.kube.resource import ResourceKind
from modelfleet.telemetry import metrics

SERVER_SECONDS = 300
SILENCE_SECONDS = 75.0
"""Bookmarks come about every minute; a watch that is silent for longer than this is dead."""
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

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
    ) -> None:
        """`monotonic` gives the time of the last event in seconds."""
        self.resource = resource
        self.synced = asyncio.Event()
        self.last_event_at = float("-inf")
        self._client = client
        self._sink = sink
        self._namespace = namespace
        self._params: Mapping[str, str] = {"labelSelector": selector} if selector else {}
        self._monotonic = monotonic
        self._version: str | None = None

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last event, bookmark or list."""
        return self._monotonic() - self.last_event_at

    async def run(self) -> None:
        """List and watch until cancelled; after each failure pause and try again."""
        failures = 0
        while True:
            try:
                if self._version is None:
                    await self._list()
                    failures = 0
                await self._watch()
                failures = 0
            except ExpiredError:
                self._version = None
            except ModelfleetError as error:
                pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
                metrics.WATCH_FAILURES.labels(self.resource.kind).inc()
                log.warning("watch failed", kind=self.resource.kind, error=str(error))
                await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311 - jitter

    async def _list(self) -> None:
        items, version = await self._client.list(self.resource, self._namespace, self._params)
        self._sink.replace(items, version, self._namespace)
        self._version = version
        self.last_event_at = self._monotonic()
        self.synced.set()

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
            self.last_event_at = self._monotonic()
            self._handle(event)

    def _handle(self, event: dict[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            # A new list is right after any error; 410 is the usual one.
            msg = f"watch of {self.resource.kind}: {item.get('message', '')}"
            raise ExpiredError(msg)
        self._version = item["metadata"]["resourceVersion"]
        if kind == "DELETED":
            self._sink.remove(item)
        elif kind in {"ADDED", "MODIFIED"}:
            self._sink.put(item)
