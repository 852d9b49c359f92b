"""The front door: Kopf watches MLModels and calls us, without writing anything itself.

`compose.operator` runs it. Handlers only pass the object on. There are no create, update or delete
handlers, no timers, daemons, indices, peering or finalizers. So Kopf never patches an object.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import aiohttp
import kopf

from modelfleet.api import names

Json = dict[str, Any]


class NoDiffBase(kopf.DiffBaseStorage):
    """Storage of no object: we never ask Kopf for differences, so Kopf compares nothing."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return no essence: saves a deep copy for each event."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Return None: nothing was stored."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


def registry_of(
    *,
    server: str,
    session: Callable[[], aiohttp.ClientSession],
    on_model: Callable[[str | None, Json], None],
) -> kopf.OperatorRegistry:
    """Return a registry; `on_model` gets the event type (None in a first list) and the object."""
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
    """Return Kopf's settings for many models: nothing scanned, posted or stored."""
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
    """Run Kopf's reactor until `stop` is set or a watch fails for good."""
    await kopf.operator(
        registry=registry,
        settings=settings_of(),
        standalone=True,
        # Without an identity Kopf reads the user's name, and a numeric user has none.
        identity=names.MANAGED_BY,  # type: ignore[arg-type] # a NewType of str that Kopf keeps private
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        ready_flag=ready,
        stop_flag=stop,
    )
