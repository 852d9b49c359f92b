"""An API server in memory, with outages: lists, watches, Leases and other objects by name."""

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from modelfleet.errors import Conflict, Gone, Transient
from modelfleet.kube.client import TakenError
from modelfleet.kube.resource import ResourceKind

Json = dict[str, Any]


class ApiDouble:
    """Stands for `KubeClient`; each request is counted, and fails while `failure` is set."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._lost = asyncio.Event()
        self.items: dict[str, list[Json]] = {}
        self.objects: dict[tuple[str, str], Json] = {}
        self.version = 100
        self.requests: Counter[str] = Counter()
        self.writes: list[str] = []
        self.watching: Callable[[str], AsyncIterator[Json]] = self._nothing

    def away(self) -> None:
        self.failure = Transient("connection refused")
        self._lost.set()

    def back(self) -> None:
        self.failure = None
        self._lost.clear()

    async def _nothing(self, _: str) -> AsyncIterator[Json]:
        """No event; the watch breaks when the server goes away."""
        await self._lost.wait()
        raise Transient("connection reset")
        yield {}

    def _ask(self, what: str) -> None:
        self.requests[what] += 1
        if self.failure is not None:
            raise self.failure

    async def list(
        self,
        resource: ResourceKind,
        namespace: str | None,
        params: Mapping[str, str],
        *,
        on_page: Callable[[], None] = lambda: None,
    ) -> tuple[list[Json], str]:
        self._ask(f"list {resource.kind}")
        on_page()
        return copy.deepcopy(self.items.get(resource.kind, [])), str(self.version)

    async def watch(
        self,
        resource: ResourceKind,
        namespace: str | None,
        params: Mapping[str, str],
        *,
        silence_seconds: float,
    ) -> AsyncIterator[Json]:
        self._ask(f"watch {resource.kind}")
        async for event in self.watching(resource.kind):
            yield event

    async def get(self, resource: ResourceKind, namespace: str | None, name: str) -> Json:
        self._ask(f"get {resource.kind}")
        if (resource.kind, name) not in self.objects:
            raise Gone(name)
        return copy.deepcopy(self.objects[resource.kind, name])

    async def post(self, resource: ResourceKind, namespace: str, body: Mapping[str, Any]) -> Json:
        self._ask(f"post {resource.kind}")
        name = body["metadata"]["name"]
        if (resource.kind, name) in self.objects:
            raise TakenError(name)
        return self._store(f"post {resource.kind}", body)

    async def put(self, path: str, body: Mapping[str, Any], *, kind: str) -> Json:
        self._ask(f"put {kind}")
        known = self.objects[kind, body["metadata"]["name"]]
        if body["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        return self._store(f"put {kind}", {**body, "kind": kind})

    def _store(self, write: str, body: Mapping[str, Any]) -> Json:
        self.version += 1
        self.writes.append(write)
        stored = copy.deepcopy(dict(body))
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[stored["kind"], stored["metadata"]["name"]] = stored
        return copy.deepcopy(stored)
