"""Publisher of events for people: no duplicates, and no wait for a turn.

`model.turn` publishes. Must never fail a turn: an event that cannot be posted is counted and
dropped. Must never post while the Lease is not held: another operator then reports what happens.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from modelfleet.errors import ModelfleetError
from modelfleet.facts.plan import EventFact
from modelfleet.kube.client import KubeClient
from modelfleet.kube.resource import EVENTS
from modelfleet.telemetry import metrics

WINDOW_SECONDS = 600.0
MAX_WAITING = 1000

log = structlog.get_logger()


class Publisher:
    """Posts events in the background, each event once within ten minutes."""

    def __init__(
        self,
        client: KubeClient,
        instance: str,
        may_write: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`instance` names this process in the events; `may_write`: whether the Lease is held."""
        self._client = client
        self._may_write = may_write
        self._instance = instance
        self._monotonic = monotonic
        self._sent: OrderedDict[int, float] = OrderedDict()
        """Time by hash of an event, oldest first: the texts themselves would fill the memory."""
        self._waiting: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(MAX_WAITING)

    def publish(self, model: Mapping[str, Any], event: EventFact) -> None:
        """Post an event about a model, unless the same was posted within ten minutes."""
        meta = model["metadata"]
        now = self._monotonic()
        self._forget_old(now)
        identity = hash((meta["uid"], event.reason, event.message))
        if identity in self._sent:
            return
        self._sent[identity] = now
        try:
            self._waiting.put_nowait((meta["namespace"], self._body(model, event)))
        except asyncio.QueueFull:
            metrics.EVENTS_DROPPED.inc()

    def _forget_old(self, now: float) -> None:
        while self._sent:
            oldest = next(iter(self._sent.values()))
            if len(self._sent) < 10 * MAX_WAITING and now - oldest < WINDOW_SECONDS:
                return
            self._sent.popitem(last=False)

    def _body(self, model: Mapping[str, Any], event: EventFact) -> dict[str, Any]:
        meta = model["metadata"]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {
                "name": f"{meta['name']}.{time.time_ns():x}",
                "namespace": meta["namespace"],
            },
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds"),
            "reportingController": "modelfleet.dev/operator",
            "reportingInstance": self._instance[:128],
            "action": "Reconcile",
            "reason": event.reason,
            "type": event.type,
            "note": event.message[:1000],
            "regarding": {
                "apiVersion": model["apiVersion"],
                "kind": model["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
        }

    async def run(self) -> None:
        """Post waiting events until cancelled."""
        while True:
            namespace, body = await self._waiting.get()
            if not self._may_write():
                metrics.EVENTS_DROPPED.inc()
                continue
            try:
                await self._client.post(EVENTS, namespace, body)
            except ModelfleetError as error:
                metrics.EVENTS_DROPPED.inc()
                log.warning("event not posted", reason=body["reason"], error=str(error))
