"""The holder: holds requests of models without a replica, and sends them back when there is one.

It is an HTTP server that only Envoys call, of this gateway and of the others. It never forwards a
request. It answers 503 with a private header, and Envoy sends the request again, to the replica. It
also answers requests that broke off a replica, or for which one was silent for too long.
Must never touch a body beyond reading past it.
Must never send a request back within half a second once it is past its second attempt.
"""

import asyncio
import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from modelfleet.facts.route import Route
from modelfleet.gateway import envoy_names
from modelfleet.gateway.requests.counters import TrafficCounters
from modelfleet.gateway.requests.envoy_server import EnvoyRequest
from modelfleet.gateway.requests.held_bodies import HeldBodies
from modelfleet.gateway.requests.hold_times import (
    LOG_SECONDS,
    longest_hold_seconds,
    min_hold_seconds,
)
from modelfleet.gateway.requests.repeats import LOOK_SECONDS, Repeat, Repeats, RepeatTargets

SYNC_SECONDS = 10.0
"""Longest wait of a request for an agent that has just started and has not yet read the models."""
MAX_FAILURES = 2
"""Replicas that may fail with one request. The first may hang or have died; when the second fails
too, the request itself is the cause."""
BROKE_TWO = "two replicas broke off while they served this request"
BROKE_ONE = (
    "a replica broke off while it served this request; the only replica that is left does not get"
    " it, because it may break off too"
)
MAX_PAST = 20_000
PAST_SECONDS = 660.0
"""Longer than the longest hold that a spec can ask for."""
TOO_LARGE = "the request is too large to wait"
TOO_MANY = "too many requests wait for this model"


class Models(RepeatTargets, Protocol):
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
    on with the next attempt. `latest`: it is refused. `look_again`: it waits for a second replica.
    """

    key: str
    version: str
    stream: str
    attempt: int
    arrived: float
    earliest: float
    attempt_ends: float
    latest: float
    look_again: float = 0.0
    is_cleared: bool = False
    """Whether the pods that broke off were deleted: the request was not the cause."""
    is_part: bool = False
    """Whether it goes back to Envoy only because this attempt is over."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_read: bool = False
    size_bytes: int = 0
    refusal: str = ""
    """Why its body cannot be held."""


@dataclass(frozen=True, slots=True)
class HoldsBefore:
    """Earlier holds of one request: seconds in all, attempts that were parts of one, and when."""

    seconds: float = 0.0
    parts: int = 0
    at: float = 0.0


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
        """`max_bytes` bounds the bodies of all held requests; see `requests.held_bodies`."""
        self._models = models
        self._traffic = traffic
        self._clocks = clocks
        self._on_held = on_held
        self._held_requests: dict[str, set[HeldRequest]] = defaultdict(set)
        self._past: OrderedDict[str, HoldsBefore] = OrderedDict()
        self._repeats = Repeats(models)
        self._ends: dict[str, asyncio.Event] = {}
        """By request that waits for it: the end of its last attempt is known."""
        traffic.failed.on_end = self._end_known
        self.bodies = HeldBodies(max_bytes)
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

    async def handle(self, request: EnvoyRequest) -> web.Response:
        """Answer one request from an Envoy."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_SECONDS):
                await self._has_models.wait()
        key = request.headers.get(envoy_names.HEADER_MODEL, "")
        version = request.headers.get(envoy_names.HEADER_VERSION, "")
        route = self._models.route(key)
        if route is None:
            return self._refuse("", "the model is not known here")
        length = request.content_length or 0
        if length > route.max_replay_bytes:
            return self._refuse(key, TOO_LARGE)
        await self._learn_of_failure(request, route)
        held_request = self._held_request(request, key, version, route)
        # A request that goes back at once is not reported, and the bounds do not apply to it:
        # all requests of a replica that dies pass here.
        is_due = held_request.earliest <= self._clocks.monotonic()
        if not (is_due and self._models.is_live(key, version)):
            if self._is_full(route, held_request, length):
                held_request.refusal = TOO_MANY
                return self._refuse_body(held_request)
            self._hold(held_request)
        try:
            return await self._read_and_wait(request, held_request, route)
        finally:
            self._remember(held_request)
            self._release(held_request)

    async def _learn_of_failure(self, request: EnvoyRequest, route: Route) -> None:
        """Wait until the access log tells how the attempt before this one ended, if that counts."""
        attempt = int(request.headers.get(envoy_names.HEADER_ATTEMPT, "1"))
        stream = request.headers.get(envoy_names.HEADER_STREAM, "")
        if attempt == 1 or not route.idempotent:
            return  # what was sent is not repeated: the attempt before never arrived
        if self._traffic.failed.of(stream).attempt >= attempt - 1:
            return
        known = self._ends[stream] = asyncio.Event()
        try:
            async with asyncio.timeout(LOG_SECONDS):
                await known.wait()
        except TimeoutError:
            return
        finally:
            self._ends.pop(stream, None)

    def _end_known(self, stream: str) -> None:
        known = self._ends.get(stream)
        if known is not None:
            known.set()

    def _held_request(
        self, request: EnvoyRequest, key: str, version: str, route: Route
    ) -> HeldRequest:
        now = self._clocks.monotonic()
        attempt = int(request.headers.get(envoy_names.HEADER_ATTEMPT, "1"))
        begun = float(request.headers.get(envoy_names.HEADER_BEGUN, "0"))
        age = max(0.0, self._clocks.wall() - begun)
        stream = request.headers.get(envoy_names.HEADER_STREAM, "")
        past = self._past.get(stream, HoldsBefore())
        longest = longest_hold_seconds(route.request_timeout_seconds)
        # An attempt that was a part of one hold says nothing of dead replicas.
        shortest = min_hold_seconds(max(1, attempt - past.parts))
        if attempt > 1 and age >= route.request_timeout_seconds:
            # A replica may have been silent; the access log says so with a delay.
            shortest = max(shortest, LOG_SECONDS)
        shortest = min(shortest, longest)
        # Time at a replica is no time on hold. Another replica may be there after a silence.
        left = max(route.hold_max_seconds - past.seconds, shortest + LOG_SECONDS * (attempt > 1))
        return HeldRequest(
            key,
            version,
            stream,
            attempt,
            arrived=now,
            earliest=now + shortest,
            attempt_ends=now + longest,
            latest=now + left,
        )

    def _remember(self, held_request: HeldRequest) -> None:
        """Add this hold to those of the request, for its next attempt."""
        if not self._is_held(held_request):
            return  # it went back at once
        now = self._clocks.monotonic()
        past = self._past.pop(held_request.stream, HoldsBefore())
        self._past[held_request.stream] = HoldsBefore(
            past.seconds + now - held_request.arrived, past.parts + held_request.is_part, now
        )
        while self._past:
            oldest = next(iter(self._past.values()))
            if len(self._past) <= MAX_PAST and now - oldest.at < PAST_SECONDS:
                break
            self._past.popitem(last=False)

    def _is_full(self, route: Route, held_request: HeldRequest, length: int) -> bool:
        if not self.bodies.has_room(held_request.key, length):
            return True
        # A later attempt was accepted before: by this holder, or by a replica that failed.
        waiting = len(self._held_requests.get(held_request.key, ()))
        return held_request.attempt == 1 and waiting >= route.hold_max_requests

    def _is_held(self, held_request: HeldRequest) -> bool:
        return held_request in self._held_requests.get(held_request.key, ())

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
        self, request: EnvoyRequest, held_request: HeldRequest, route: Route
    ) -> web.Response:
        """Wait, reading past the body meanwhile: Envoy replays the body from its buffer."""
        reader = asyncio.create_task(self._read_past(request, held_request, route.max_replay_bytes))
        try:
            return await self._wait(request, held_request)
        finally:
            reader.cancel()
            self.bodies.add(held_request.key, -held_request.size_bytes)

    async def _read_past(
        self, request: EnvoyRequest, held_request: HeldRequest, limit: int
    ) -> None:
        async for size in request.body_sizes():
            held_request.size_bytes += size
            self.bodies.add(held_request.key, size)
            if held_request.size_bytes > limit:
                held_request.refusal = TOO_LARGE
                break
            # Bodies may have no length, and many come at once.
            if self._is_held(held_request) and not self.bodies.has_room(held_request.key):
                self.bodies.add(held_request.key, -held_request.size_bytes)
                held_request.size_bytes, held_request.refusal = 0, TOO_MANY
                break
        held_request.is_read = True
        held_request.wake.set()

    async def _wait(self, request: EnvoyRequest, held_request: HeldRequest) -> web.Response:
        # A stream's client may wait for an answer before it sends more: its body has no end.
        is_stream = request.headers.get("content-type", "").startswith("application/grpc")
        while True:
            now = self._clocks.monotonic()
            if held_request.refusal:
                return self._refuse_body(held_request)
            if held_request.is_read or is_stream:
                if self._is_stopping:
                    return self._leave(held_request)
                if now >= held_request.earliest:
                    answer = await self._final_answer(held_request)
                    if answer is not None:
                        return answer
                    self._hold(held_request)
            if now >= held_request.latest:
                return self._give_up(held_request)
            if now >= held_request.attempt_ends and held_request.is_read:
                held_request.is_part = True
                return _send_back()
            times = (
                held_request.earliest,
                held_request.look_again,
                held_request.attempt_ends,
                held_request.latest,
            )
            until = min((time for time in times if time > now), default=held_request.latest)
            held_request.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - now)):
                    await held_request.wake.wait()

    async def _final_answer(self, held_request: HeldRequest) -> web.Response | None:
        """Return the answer; None: keep holding the request.

        A request with which two replicas failed is not sent to a third.
        """
        key, version = held_request.key, held_request.version
        failures = self._traffic.failed.of(held_request.stream)
        if failures.cut_off and failures.cut_off + len(failures.silent) >= MAX_FAILURES:
            return self._deadly(key, BROKE_TWO)
        silent = failures.silent
        if silent and (
            len(silent) >= MAX_FAILURES or set(self._models.replicas(key, version)) <= set(silent)
        ):
            return _answer(504, envoy_names.TIMED_OUT)
        if self._models.route(key) is None:
            return self._refuse(key, "the model was deleted")
        if failures.broken and not held_request.is_cleared:
            repeat = await self._repeats.judge(key, version, failures)
            held_request.is_cleared = repeat is Repeat.CLEARED
            if repeat is Repeat.NEVER:
                return self._deadly(key, BROKE_ONE)
            if repeat is Repeat.LATER:
                held_request.look_again = self._clocks.monotonic() + LOOK_SECONDS
                return None
        return _send_back() if self._models.is_live(key, version) else None

    def _give_up(self, held_request: HeldRequest) -> web.Response:
        """Answer a request that was held for as long as it may be."""
        if self._traffic.failed.of(held_request.stream).broken:
            return self._deadly(held_request.key, BROKE_ONE)
        fault = self._models.fault(held_request.key)
        because = f": {fault}" if fault else ""
        return self._refuse(held_request.key, f"no replica became ready in time{because}")

    def _leave(self, held_request: HeldRequest) -> web.Response:
        """Send a request back, because this agent stops; another one does not know its past."""
        if self._traffic.failed.of(held_request.stream).broken:
            return self._deadly(held_request.key, BROKE_ONE)
        return _send_back()

    def _deadly(self, key: str, reason: str) -> web.Response:
        self._traffic.deadly[key] += 1
        return _answer(502, reason)

    def _refuse_body(self, held_request: HeldRequest) -> web.Response:
        if held_request.refusal == TOO_MANY:
            self._traffic.counter(held_request.key, held_request.version).refused += 1
        return self._refuse(held_request.key, held_request.refusal)

    def _refuse(self, key: str, reason: str) -> web.Response:
        if key:  # a model that is gone has no series; Envoy's log counts the request
            self._traffic.refused[key, reason] += 1
        response = _answer(503, reason)
        response.headers["Retry-After"] = str(envoy_names.RETRY_AFTER_SECONDS)
        return response


def _answer(code: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=code)


def _send_back() -> web.Response:
    return web.Response(status=503, headers={envoy_names.HEADER_RETRY: "1"})
