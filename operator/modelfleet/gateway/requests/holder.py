"""The holder: holds requests of models without a replica, and sends them back when there is one.

It is an HTTP server that only Envoys call, of this gateway and of the others. It never forwards a
request. It answers 503 with a private header, and Envoy sends the request again, to the replica. It
also answers requests that failed on two replicas, or for which a replica was silent for too long.
Must never touch a body beyond reading past it.
Must never send a request back within half a second once it is past its second attempt.
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
from modelfleet.gateway.requests.hold_times import (
    ATTEMPTS_AT_MIN_HOLD,
    LOG_SECONDS,
    longest_hold_seconds,
    min_hold_seconds,
)

SYNC_SECONDS = 10.0
"""Longest wait of a request for an agent that has just started and has not yet read the models."""
DEADLY_RESETS = 2
MAX_SILENCES = 2
"""Replicas that may be silent with one request. The first may hang; when the second is silent too,
the request itself takes too long."""
TOO_LARGE = "the request is too large to wait"


class Models(Protocol):
    """Models as the holder needs them; see `xds.controller`."""

    def route(self, key: str) -> Route | None:
        """Return the newest route of a model."""
        ...

    def is_live(self, key: str, version: str) -> bool:
        """Return whether Envoy has a replica for a request of this version."""
        ...

    def replicas(self, key: str, version: str) -> tuple[str, ...]:
        """Return the endpoints that Envoy has for this version."""
        ...

    def fault(self, key: str) -> str:
        """Return the reason for which no replica comes; empty when waiting may help."""
        ...


@dataclass(frozen=True, slots=True)
class HolderClocks:
    """`monotonic` for waiting; `wall` only to compute the age of a request (Envoy's time stamp)."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]


@dataclass(eq=False, slots=True)
class HeldRequest:
    """One request at one attempt; times in monotonic seconds.

    `earliest` to send it back to a replica. `attempt_ends`: it goes back to Envoy, which holds it
    on with the next attempt. `latest`: it is refused.
    """

    key: str
    version: str
    attempt: int
    earliest: float
    attempt_ends: float
    latest: float
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_read: bool = False
    size_bytes: int = 0


class Holder:
    """Requests held at this agent."""

    def __init__(
        self,
        models: Models,
        traffic: TrafficCounters,
        clocks: HolderClocks,
        on_held: Callable[[str, int], None],
        max_bytes: int,
    ) -> None:
        """`max_bytes` bounds the bodies of all held requests (they are in Envoy's memory)."""
        self._models = models
        self._traffic = traffic
        self._clocks = clocks
        self._on_held = on_held
        self._max_bytes = max_bytes
        self._held_requests: dict[str, set[HeldRequest]] = defaultdict(set)
        self._bytes = 0
        self._has_models = asyncio.Event()
        self._is_stopping = False

    @property
    def held(self) -> Mapping[str, int]:
        """Held requests by model, only models that have some."""
        return {key: len(group) for key, group in self._held_requests.items() if group}

    def begin(self) -> None:
        """Begin to answer: the models were read. Earlier requests wait for this call."""
        self._has_models.set()

    def wake(self, key: str) -> None:
        """Look at the requests of a model again: it may have a replica now, or has changed."""
        for held_request in self._held_requests.get(key, ()):
            held_request.wake.set()

    def stop(self) -> None:
        """Send all requests back: the agent stops, and another gateway holds them."""
        self._is_stopping = True
        for key in self._held_requests:
            self.wake(key)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request from an Envoy."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_SECONDS):
                await self._has_models.wait()
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
        held_request = self._held_request(request, key, version, route)
        # A request that goes back at once is not reported, and the bounds do not apply to it:
        # all requests of a replica that dies pass here.
        passes = held_request.earliest <= self._clocks.monotonic() and self._models.is_live(
            key, version
        )
        if not passes:
            if self._is_full(route, held_request, length):
                self._traffic.counter(key, version).refused += 1
                return self._refuse(key, "too many requests wait for this model")
            self._hold(held_request)
        try:
            return await self._read_and_wait(request, held_request, route)
        finally:
            self._release(held_request)

    def _held_request(
        self, request: web.Request, key: str, version: str, route: Route
    ) -> HeldRequest:
        now = self._clocks.monotonic()
        attempt = int(request.headers.get(envoy_names.HEADER_ATTEMPT, "1"))
        begun = float(request.headers.get(envoy_names.HEADER_BEGUN, "0"))
        age = max(0.0, self._clocks.wall() - begun)
        longest = longest_hold_seconds(route.request_timeout_seconds)
        if longest < route.hold_max_seconds:
            # Most attempts are parts of one hold: their number says nothing of dead replicas.
            attempt = min(attempt, ATTEMPTS_AT_MIN_HOLD)
        shortest = min_hold_seconds(attempt)
        if attempt > 1 and age >= route.request_timeout_seconds:
            # A replica may have been silent; the access log says so with a delay.
            shortest = max(shortest, LOG_SECONDS)
        return HeldRequest(
            key,
            version,
            attempt,
            earliest=now + shortest,
            attempt_ends=now + max(longest, shortest),
            latest=now + route.hold_max_seconds - min(age, float(route.hold_max_seconds)),
        )

    def _is_full(self, route: Route, held_request: HeldRequest, length: int) -> bool:
        if held_request.attempt > 1:
            return False  # it was accepted before: by this holder, or by a replica that failed
        waiting = len(self._held_requests.get(held_request.key, ()))
        return waiting >= route.hold_max_requests or self._bytes + length > self._max_bytes

    def _hold(self, held_request: HeldRequest) -> None:
        group = self._held_requests[held_request.key]
        if held_request not in group:
            group.add(held_request)
            self._on_held(held_request.key, len(group))

    def _release(self, held_request: HeldRequest) -> None:
        group = self._held_requests.get(held_request.key, set())
        if held_request in group:
            group.discard(held_request)
            self._on_held(held_request.key, len(group))
        if not group:
            self._held_requests.pop(held_request.key, None)

    async def _read_and_wait(
        self, request: web.Request, held_request: HeldRequest, route: Route
    ) -> web.Response:
        """Wait, reading past the body meanwhile: Envoy replays the body from its buffer."""
        reader = asyncio.create_task(self._read_past(request, held_request, route.max_replay_bytes))
        try:
            return await self._wait(request, held_request, route)
        finally:
            reader.cancel()
            self._bytes -= held_request.size_bytes

    async def _read_past(self, request: web.Request, held_request: HeldRequest, limit: int) -> None:
        async for chunk in request.content.iter_any():
            held_request.size_bytes += len(chunk)
            self._bytes += len(chunk)
            if held_request.size_bytes > limit:
                break
        held_request.is_read = True
        held_request.wake.set()

    async def _wait(
        self, request: web.Request, held_request: HeldRequest, route: Route
    ) -> web.Response:
        # A stream's client may wait for an answer before it sends more: its body has no end.
        is_stream = request.headers.get("content-type", "").startswith("application/grpc")
        while True:
            now = self._clocks.monotonic()
            if held_request.size_bytes > route.max_replay_bytes:
                return self._refuse(held_request.key, TOO_LARGE)
            if held_request.is_read or is_stream:
                if self._is_stopping:
                    return _send_back()
                if now >= held_request.earliest:
                    answer = self._final_answer(request, held_request)
                    if answer is not None:
                        return answer
                    self._hold(held_request)
            if now >= held_request.latest:
                fault = self._models.fault(held_request.key)
                because = f": {fault}" if fault else ""
                return self._refuse(held_request.key, f"no replica became ready in time{because}")
            if now >= held_request.attempt_ends and held_request.is_read:
                return _send_back()
            times = (held_request.earliest, held_request.attempt_ends, held_request.latest)
            until = min((time for time in times if time > now), default=held_request.latest)
            held_request.wake.clear()
            try:
                async with asyncio.timeout(max(0.0, until - now)):
                    await held_request.wake.wait()
            except TimeoutError:
                continue

    def _final_answer(self, request: web.Request, held_request: HeldRequest) -> web.Response | None:
        """Return the answer; None: keep holding the request.

        A request that cut off two replicas, or for which two were silent, is not sent to a third.
        """
        stream = request.headers.get(envoy_names.HEADER_STREAM, "")
        if self._traffic.resets(stream) >= DEADLY_RESETS:
            self._traffic.deadly[held_request.key] += 1
            return _answer(502, "two replicas broke off while they served this request")
        silent = self._traffic.silent(stream)
        if silent:
            replicas = self._models.replicas(held_request.key, held_request.version)
            if len(silent) >= MAX_SILENCES or set(replicas) <= set(silent):
                return _answer(504, envoy_names.TIMED_OUT)
        if self._models.route(held_request.key) is None:
            return self._refuse(held_request.key, "the model was deleted")
        return (
            _send_back() if self._models.is_live(held_request.key, held_request.version) else None
        )

    def _refuse(self, key: str, reason: str) -> web.Response:
        self._traffic.refused[key, reason] += 1
        response = _answer(503, reason)
        response.headers["Retry-After"] = str(envoy_names.RETRY_AFTER_SECONDS)
        return response


def _answer(code: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=code)


def _send_back() -> web.Response:
    return web.Response(status=503, headers={envoy_names.HEADER_RETRY: "1"})
