"""Parks requests of models that have no replica, and sends them back to Envoy when there is one.

An HTTP server that only Envoys call (own and the other gateways'). It never forwards: it answers
503 with a private header, and Envoy sends the request again, to the replica (rule 9). It also
judges requests that failed on two replicas (rule 7). Must never touch a body beyond reading past
it, nor bounce a request again within half a second once it is past its second attempt.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from modelfleet.facts.route import Route
from modelfleet.gateway import envoy_names
from modelfleet.gateway.requests.counters import TrafficCounters

FLOOR_SECONDS = 0.5
LONGEST_FLOOR_SECONDS = 4.0
PASSING_ATTEMPTS = 2
"""Up to this attempt nobody has to stay: the first failure on a replica leads here as the second
attempt, and most likely another replica can serve it at once."""
EASY_ATTEMPTS = 3
"""Up to this attempt the floor stays at its least."""
SYNC_SECONDS = 10.0
"""How long a request waits for an agent that has just started to know the models."""
DEADLY_RESETS = 2
TOO_LARGE = "the request is too large to wait"


class Models(Protocol):
    """What the holder has to know; see `configuration`."""

    def route(self, key: str) -> Route | None:
        """The newest route of a model."""
        ...

    def is_live(self, key: str, version: str) -> bool:
        """Whether Envoy has a replica for a request of this version."""
        ...


@dataclass(frozen=True, slots=True)
class HolderClocks:
    """`monotonic` for waiting; `wall` only to read how old a request is (Envoy's stamp)."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]


@dataclass(eq=False, slots=True)
class Parked:
    """One request. `earliest` and `latest` in monotonic seconds."""

    key: str
    version: str
    earliest: float
    latest: float
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_read: bool = False
    size_bytes: int = 0


def least_stay_seconds(attempt: int) -> float:
    """Least stay by attempt: none for two, then 0.5 s, doubling from the fourth on to 4 s.

    Ten retries last 13 s when every other one meets a dead replica, and longer when all come here:
    enough for a killed agent of the calling Envoy to return.
    """
    if attempt <= PASSING_ATTEMPTS:
        return 0.0
    doublings = max(0, attempt - EASY_ATTEMPTS)
    return min(FLOOR_SECONDS * 2.0**doublings, LONGEST_FLOOR_SECONDS)


class Holder:
    """Requests parked at this agent."""

    def __init__(
        self,
        models: Models,
        traffic: TrafficCounters,
        clocks: HolderClocks,
        on_held: Callable[[str, int], None],
        max_bytes: int,
    ) -> None:
        """`max_bytes` bounds the bodies of all parked requests (they are in Envoy's memory)."""
        self._models = models
        self._traffic = traffic
        self._clocks = clocks
        self._on_held = on_held
        self._max_bytes = max_bytes
        self._parked: dict[str, set[Parked]] = defaultdict(set)
        self._bytes = 0
        self._knows = asyncio.Event()
        self._is_leaving = False

    @property
    def held(self) -> Mapping[str, int]:
        """Parked requests by model, only models that have some."""
        return {key: len(parked) for key, parked in self._parked.items() if parked}

    def begin(self) -> None:
        """The models are known: who came before is judged from now on."""
        self._knows.set()

    def wake(self, key: str) -> None:
        """The model may have a replica now, or has changed."""
        for parked in self._parked.get(key, ()):
            parked.wake.set()

    def leave(self) -> None:
        """The agent stops: everybody is sent back, to be held by another gateway."""
        self._is_leaving = True
        for key in self._parked:
            self.wake(key)

    async def handle(self, request: web.Request) -> web.Response:
        """One request from an Envoy."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_SECONDS):
                await self._knows.wait()
        headers = request.headers
        key, version = (
            headers.get(envoy_names.HEADER_MODEL, ""),
            headers.get(envoy_names.HEADER_VERSION, ""),
        )
        route = self._models.route(key)
        if route is None:
            return self._refuse("", "the model is not known here")
        length = request.content_length or 0
        if length > route.max_replay_bytes:
            return self._refuse(key, TOO_LARGE)
        parked = self._ticket(request, key, version, route)
        # Nobody is told of those who only pass, and the bounds of waiting are not theirs: a replica
        # that dies sends all that it had through here.
        passes = parked.earliest <= self._clocks.monotonic() and self._models.is_live(key, version)
        if not passes:
            if self._is_full(route, key, length):
                self._traffic.counter(key, version).refused += 1
                return self._refuse(key, "too many requests wait for this model")
            self._stay(parked)
        try:
            return await self._read_and_wait(request, parked, route)
        finally:
            self._end(parked)

    def _ticket(self, request: web.Request, key: str, version: str, route: Route) -> Parked:
        now = self._clocks.monotonic()
        attempt = int(request.headers.get(envoy_names.HEADER_ATTEMPT, "1"))
        begun = float(request.headers.get(envoy_names.HEADER_BEGUN, "0"))
        age = min(max(0.0, self._clocks.wall() - begun), float(route.hold_max_seconds))
        return Parked(
            key,
            version,
            earliest=now + least_stay_seconds(attempt),
            latest=now + route.hold_max_seconds - age,
        )

    def _is_full(self, route: Route, key: str, length: int) -> bool:
        waiting = len(self._parked.get(key, ()))
        return waiting >= route.hold_max_requests or self._bytes + length > self._max_bytes

    def _stay(self, parked: Parked) -> None:
        group = self._parked[parked.key]
        if parked not in group:
            group.add(parked)
            self._on_held(parked.key, len(group))

    def _end(self, parked: Parked) -> None:
        group = self._parked.get(parked.key, set())
        if parked in group:
            group.discard(parked)
            self._on_held(parked.key, len(group))
        if not group:
            self._parked.pop(parked.key, None)

    async def _read_and_wait(
        self, request: web.Request, parked: Parked, route: Route
    ) -> web.Response:
        """Wait, reading past the body meanwhile: Envoy replays what it has buffered."""
        reader = asyncio.create_task(self._read_past(request, parked, route.max_replay_bytes))
        try:
            return await self._wait(request, parked, route)
        finally:
            reader.cancel()
            self._bytes -= parked.size_bytes

    async def _read_past(self, request: web.Request, parked: Parked, limit: int) -> None:
        async for chunk in request.content.iter_any():
            parked.size_bytes += len(chunk)
            self._bytes += len(chunk)
            if parked.size_bytes > limit:
                break
        parked.is_read = True
        parked.wake.set()

    async def _wait(self, request: web.Request, parked: Parked, route: Route) -> web.Response:
        # A stream's client may wait for an answer before it sends more: no end to wait for.
        is_stream = request.headers.get("content-type", "").startswith("application/grpc")
        while True:
            now = self._clocks.monotonic()
            if parked.size_bytes > route.max_replay_bytes:
                return self._refuse(parked.key, TOO_LARGE)
            if parked.is_read or is_stream:
                if self._is_leaving:
                    return _bounce()
                if now >= parked.earliest:
                    verdict = self._verdict(request, parked)
                    if verdict is not None:
                        return verdict
                    self._stay(parked)
            if now >= parked.latest:
                return self._refuse(parked.key, "no replica became ready in time")
            until = parked.earliest if now < parked.earliest else parked.latest
            parked.wake.clear()
            try:
                async with asyncio.timeout(max(0.0, until - now)):
                    await parked.wake.wait()
            except TimeoutError:
                continue

    def _verdict(self, request: web.Request, parked: Parked) -> web.Response | None:
        """None: stay. A request that took two replicas down is not sent to a third (rule 7)."""
        stream = request.headers.get(envoy_names.HEADER_STREAM, "")
        if self._traffic.resets(stream) >= DEADLY_RESETS:
            self._traffic.deadly[parked.key] += 1
            return _answer(502, "two replicas broke off while they served this request")
        if self._models.route(parked.key) is None:
            return self._refuse(parked.key, "the model was deleted")
        return _bounce() if self._models.is_live(parked.key, parked.version) else None

    def _refuse(self, key: str, reason: str) -> web.Response:
        self._traffic.refused[key, reason] += 1
        response = _answer(503, reason)
        response.headers["Retry-After"] = str(envoy_names.RETRY_AFTER_SECONDS)
        return response


def _answer(code: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=code)


def _bounce() -> web.Response:
    return web.Response(status=503, headers={envoy_names.HEADER_RETRY: "1"})
