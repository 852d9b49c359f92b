"""The front door: Kopf watches MLModels and tells us, without writing anything itself.

Called by `main`. Handlers only hand the object on: no create, update or delete handlers, no
timers, daemons, indices, peering or finalizers, so Kopf never patches an object.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import aiohttp
import kopf

from modelfleet.api import names

Json = dict[str, Any]


class NoDiffBase(kopf.DiffBaseStorage):
    """We never ask Kopf for differences, so it need not keep nor compare anything."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """No essence: saves a deep copy for each event."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing is stored."""


def registry_of(
    *,
    server: str,
    session: Callable[[], aiohttp.ClientSession],
    on_model: Callable[[str | None, Json], None],
) -> kopf.OperatorRegistry:
    """An explicit registry; `on_model` gets the event type (None in a first list) and object."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=server, aiohttp_session=session())

    @kopf.on.event(
        names.GROUP, names.API_VERSION.rsplit("/", 1)[-1], names.MODEL_PLURAL, registry=registry
    )
    async def seen(event: Any, **_: Any) -> None:
        on_model(event["type"], event["object"])

    return registry


def settings_of() -> kopf.OperatorSettings:
    """Kopf's settings for a fleet: nothing scanned, posted or stored."""
    settings = kopf.OperatorSettings()
    settings.posting.loggers = False
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1.0
    settings.queueing.idle_timeout = 1.0
    settings.networking.request_timeout = 30
    settings.scanning.disabled = True
    settings.persistence.finalizer = f"{names.GROUP}/never-set"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    settings.process.ultimate_exiting_timeout = 25
    return settings


async def run(
    registry: kopf.OperatorRegistry,
    namespaces: Collection[str],
    *,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Kopf's reactor, embedded; ends when `stop` is set or when a watch is beyond repair."""
    await kopf.operator(
        registry=registry,
        settings=settings_of(),
        standalone=True,
        # Else Kopf asks for the user's name, and a numeric user has none.
        identity=names.MANAGED_BY,  # type: ignore[arg-type] # a NewType of str that Kopf keeps private
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        ready_flag=ready,
        stop_flag=stop,
    )
