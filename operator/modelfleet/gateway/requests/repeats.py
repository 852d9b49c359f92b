"""May a request that broke off a replica be sent to another one? It may have ended the replica.

`requests.holder` asks. Rules: at most one more try, and never at the only replica that is left. A
replica whose pod was deleted says nothing against the request, and neither does one that listens
on: servers close idle connections, sometimes just as a request comes. Must never delay a request
that no replica has broken off.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from enum import Enum
from typing import Final, Protocol

from modelfleet.gateway.requests.failed_attempts import ONE_DEATH_SECONDS, Failures

LOOK_SECONDS: Final = 0.5
"""Time between two looks while a request waits for a second replica."""
KNOWN_SECONDS: Final = 0.25
"""A replica that was looked at is not looked at again for so long: all its requests come at
once."""
CONNECT_SECONDS: Final = 0.5
ENOUGH: Final = 2
MAX_KNOWN: Final = 1000
SLACK_SECONDS: Final = 1.0
"""A break is known a little later than the end of its replica may be."""
DEATH_SECONDS: Final = 660.0
"""Longer than the longest hold: a request that waits must not forget that its replica ended."""


class Repeat(Enum):
    """Verdict on a request that broke off a replica; CLEARED means that it did not end it."""

    CLEARED = "cleared"
    NOW = "now"
    LATER = "later"
    NEVER = "never"


class RepeatTargets(Protocol):
    """Replicas as this module needs them; see `xds.controller`."""

    def behind(self, key: str, version: str) -> tuple[str, ...]:
        """Return the endpoints that Envoy has for a request of this version."""
        ...

    def has_pod(self, key: str, endpoint: str) -> bool:
        """Return whether the pod of an endpoint exists and is to stay, ready or not."""
        ...

    def is_starting(self, key: str, version: str) -> bool:
        """Return whether a replica of this version exists that is not ready yet."""
        ...


async def accepts_connections(endpoint: str) -> bool:
    """Return whether a process listens at `ip:port`: the kernel answers for it at once."""
    host, _, port = endpoint.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


class Repeats:
    """Decides about requests that broke off a replica."""

    def __init__(
        self,
        replicas: RepeatTargets,
        accepts: Callable[[str], Awaitable[bool]] = accepts_connections,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`accepts(endpoint)` tells whether a replica still takes connections."""
        self._replicas = replicas
        self._accepts = accepts
        self._clock = clock
        self._known: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self._died: dict[str, float] = {}
        """When a broken replica was last seen without a process that listens."""

    async def judge(self, key: str, version: str, failures: Failures) -> Repeat:
        """Return whether a request may go to a replica; `failures` are those of its attempts."""
        broken = set(failures.broken)
        if not any(self._replicas.has_pod(key, endpoint) for endpoint in broken):
            return Repeat.CLEARED
        has_died = await self._has_died(broken, failures.at - SLACK_SECONDS)
        behind = self._replicas.behind(key, version)
        living = await self._living(behind)
        if len(living) >= ENOUGH:
            return Repeat.NOW
        if not has_died:
            # At once, a second break could not be told from the first one.
            is_apart = self._clock() - failures.at >= ONE_DEATH_SECONDS
            return Repeat.NOW if is_apart else Repeat.LATER
        # The replica has started again, and it is the only one: waiting brings no other.
        is_alone = bool(living) and living <= broken and living == set(behind)
        if is_alone and not self._replicas.is_starting(key, version):
            return Repeat.NEVER
        return Repeat.LATER

    async def _has_died(self, broken: Collection[str], since: float) -> bool:
        """Return whether one of them ended `since` then; the first look comes with the break."""
        answers = await asyncio.gather(*(self._look(endpoint) for endpoint in broken))
        now = self._clock()
        for endpoint, lives in zip(broken, answers, strict=True):
            if not lives:
                self._died.pop(endpoint, None)
                self._died[endpoint] = now
        while self._died:
            oldest = next(iter(self._died))
            if len(self._died) <= MAX_KNOWN and now - self._died[oldest] < DEATH_SECONDS:
                break
            del self._died[oldest]
        return any(self._died.get(endpoint, float("-inf")) >= since for endpoint in broken)

    async def _living(self, endpoints: Collection[str]) -> set[str]:
        """Return those that accept connections; enough of many are as good as all."""
        living: set[str] = set()
        waiting = list(endpoints)
        while waiting and len(living) < ENOUGH:
            some, waiting = waiting[: 2 * ENOUGH], waiting[2 * ENOUGH :]
            answers = await asyncio.gather(*(self._look(endpoint) for endpoint in some))
            living |= {endpoint for endpoint, lives in zip(some, answers, strict=True) if lives}
        return living

    async def _look(self, endpoint: str) -> bool:
        now = self._clock()
        at, task = self._known.get(endpoint, (float("-inf"), None))
        if task is None or (task.done() and now - at >= KNOWN_SECONDS):
            while len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            task = asyncio.ensure_future(self._accepts(endpoint))
            self._known[endpoint] = (now, task)
        # A client that leaves must not end the look for the others.
        return await asyncio.shield(task)
