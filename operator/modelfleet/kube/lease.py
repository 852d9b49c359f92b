"""Leader election by a coordination.k8s.io Lease.

`loop.terms` takes and keeps it; `kube.apply` reads `is_held` before every write. Our own monotonic
clock decides validity. It counts from the moment at which the last answered renewal was *sent*. A
process that starts again under the same identity (a restarted container of the same pod) goes on at
once, as does one that could not reach the API server for a while.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from modelfleet.errors import Conflict, Gone, ModelfleetError, Transient
from modelfleet.kube.client import KubeClient
from modelfleet.kube.resource import LEASES
from modelfleet.telemetry import metrics

MAX_ATTEMPT_PAUSE_SECONDS = 4.0
"""Longest pause between two attempts; with it a leader is back soon after any outage."""

log = structlog.get_logger()


class Lease:
    """One Lease, one contender. `held` is set while we lead."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`seconds` is how long others must wait after our last renewal."""
        self.held = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seconds = seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._retry_after = 0.0
        self._failures = 0
        self._valid_until = float("-inf")
        self._last_renewal: tuple[str, float] = ("", float("-inf"))

    @property
    def is_held(self) -> bool:
        """Whether a write is allowed now; a margin is left for a request under way."""
        return self._monotonic() < self._valid_until - 0.1 * self._seconds

    async def take(self) -> None:
        """Wait until the Lease is ours, through any outage of the API server."""
        while not await self._try():
            pause = self._pause_seconds * (0.8 + 0.4 * random.random())  # noqa: S311 - jitter
            await self._sleep(max(pause, min(self._retry_after, self._seconds)))
        log.info("leading", lease=self._name, identity=self._identity)
        self.held.set()
        metrics.IS_LEADER.set(1)

    async def keep(self) -> None:
        """Renew the Lease; return at the moment at which it is lost."""
        try:
            while (left := self._valid_until - self._monotonic()) > 0:
                await self._sleep(min(self._pause_seconds, left))
                if self._monotonic() < self._valid_until:
                    await self._try()
        finally:
            metrics.IS_LEADER.set(0)
            self.held.clear()
        log.error("lease lost", lease=self._name)

    @property
    def _pause_seconds(self) -> float:
        return min(self._seconds / 5, MAX_ATTEMPT_PAUSE_SECONDS)

    async def release(self) -> None:
        """Give the Lease up, so that a standby need not wait."""
        if not self.is_held:
            return
        self._valid_until = float("-inf")
        self.held.clear()
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                await self._client.put(self._path, lease, kind=LEASES.kind)
        except ModelfleetError as error:
            log.warning("lease not released", error=str(error))

    @property
    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)

    async def _try(self) -> bool:
        """Try once to take or renew the Lease; return True when we hold it."""
        sent = self._monotonic()
        patience = self._seconds / 3
        if self.held.is_set():
            # A renewal that comes too late is none: then this process must not lead any more.
            patience = min(patience, self._valid_until - sent)
        self._retry_after = 0.0
        try:
            async with asyncio.timeout(patience):
                is_acquired = await self._acquire()
        except (ModelfleetError, TimeoutError) as error:
            self._retry_after = getattr(error, "retry_after", None) or 0.0
            (log.debug if self._failures else log.warning)(
                "lease request failed", error=str(error) or type(error).__name__
            )
            self._failures += 1
            return False
        self._failures = 0
        if is_acquired:
            self._valid_until = sent + self._seconds
        elif self.held.is_set():
            # Another process holds it: we do not lead, even if our time is not over.
            self._valid_until = float("-inf")
        return is_acquired

    async def _acquire(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
        except Gone:
            return await self._create()
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity") or ""
        if holder not in {"", self._identity} and not self._has_expired(spec):
            return False
        if holder != self._identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
            spec["acquireTime"] = _now()
        spec.update(self._spec())
        try:
            await self._client.put(self._path, lease, kind=LEASES.kind)
        except Conflict as error:
            # Somebody wrote it just now; the next attempt sees who.
            raise Transient(str(error)) from error
        return True

    def _has_expired(self, spec: dict[str, Any]) -> bool:
        """Return whether it stayed unchanged for its whole duration, by our clock."""
        mark = f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
        now = self._monotonic()
        if mark != self._last_renewal[0]:
            self._last_renewal = (mark, now)
        return now - self._last_renewal[1] > float(
            spec.get("leaseDurationSeconds") or self._seconds
        )

    async def _create(self) -> bool:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {"acquireTime": _now(), "leaseTransitions": 0, **self._spec()},
        }
        try:
            await self._client.post(LEASES, self._namespace, body)
        except Conflict:
            return False
        return True

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "renewTime": _now(),
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
