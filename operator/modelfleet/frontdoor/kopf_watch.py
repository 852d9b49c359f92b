"""The front door: Kopf watches MLModels and calls us, without writing anything itself.

`compose.operator` runs it. Handlers only pass the object on. There are no create, update or delete
handlers, no timers, daemons, indices, peering or finalizers. So Kopf never patches an object. Kopf
ends at errors that it does not know, such as an `ERROR` event in a watch; then it is started again
in the same process. Must never end a task that is not Kopf's.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import structlog

from modelfleet.api import names
from modelfleet.backoff import Backoff
from modelfleet.telemetry import metrics

HEALTHY_SECONDS = 30.0
"""A watch, login or reactor that lasted for so long was well: pauses begin anew."""
_KOPF_FOLDER = str(Path(kopf.__file__).parent)
_LOGGERS = ("kopf._cogs.clients.watching", "kopf._core.reactor.observation")
"""Loggers that Kopf gives to its requests."""

log = structlog.get_logger()

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


class Pauses:
    """Pauses between attempts at one request, for ever: Kopf's own ones end after a minute."""

    def __iter__(self) -> Iterator[float]:
        """Yield the pauses of one request."""
        backoff = Backoff()
        while True:
            yield backoff.next_seconds()


class WatchPace:
    """Middleware of a session: pauses before a watch that follows on a short one.

    Kopf watches again at once when a watch ends, and lists again a second after a `410 Gone`.
    """

    def __init__(
        self, backoff: Backoff | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`monotonic` gives seconds."""
        self._backoff, self._monotonic = backoff or Backoff(), monotonic
        self._begun_at: dict[str, float] = {}

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send the request, a watch perhaps later."""
        if request.url.query.get("watch") == "true":
            before = self._begun_at.get(request.url.path, float("-inf"))
            if self._monotonic() - before >= HEALTHY_SECONDS:
                self._backoff.reset()
            else:
                await self._backoff.pause()
            self._begun_at[request.url.path] = self._monotonic()
        return await handler(request)


class _TasksOfOthers(Collection[asyncio.Task[Any]]):
    """All tasks but Kopf's: at its end Kopf cancels the tasks that began after it."""

    def __contains__(self, task: object) -> bool:
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        return not str(getattr(code, "co_filename", "")).startswith(_KOPF_FOLDER)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return (task for task in asyncio.all_tasks() if task in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Drop Kopf's line for each failed attempt: `kube.reachability` logs an outage once."""
    return not str(record.msg).startswith("Request attempt")


def registry_of(
    *,
    server: str,
    session: Callable[[WatchPace], aiohttp.ClientSession],
    on_model: Callable[[str | None, Json], None],
    backoff: Backoff | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> kopf.OperatorRegistry:
    """Return a registry; `on_model` gets the event type (None in a first list) and the object.

    `session` makes a session with a middleware. Kopf closes it at the end, and when the API server
    refuses the token (401), as it does while it starts; then Kopf logs in again, at most every few
    seconds.
    """
    registry = kopf.OperatorRegistry()
    pauses, last_login = backoff or Backoff(), float("-inf")
    pace = WatchPace()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        nonlocal last_login
        if monotonic() - last_login >= HEALTHY_SECONDS:
            pauses.reset()
        else:
            await pauses.pause()
        last_login = monotonic()
        return kopf.AiohttpSession(server=server, aiohttp_session=session(pace))

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
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = Pauses()
    settings.scanning.disabled = True
    settings.persistence.finalizer = f"{names.GROUP}/never-set"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    # Otherwise Kopf kills the process so many seconds after an end that was not asked for.
    settings.process.ultimate_exiting_timeout = None
    return settings


async def run(
    registry: kopf.OperatorRegistry,
    namespaces: Collection[str],
    *,
    ready: asyncio.Event,
    stop: asyncio.Event,
    is_served: Callable[[], Awaitable[bool]],
    on_start: Callable[[], None] = lambda: None,
    backoff: Backoff | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run Kopf's reactor until `stop` is set, again and again when it ends by itself.

    Kopf looks only once which kinds there are. So it starts when `is_served` returns that MLModels
    are. `on_start` is called after each start, since Kopf installs handlers of signals.
    """
    pauses = backoff or Backoff()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_worth_a_line)
    while not stop.is_set():
        began = monotonic()
        try:
            if await is_served():
                began = monotonic()
                await _reactor(registry, namespaces, ready=ready, stop=stop, on_start=on_start)
            elif not pauses.failures:
                log.warning("the API server does not serve MLModels yet")
        except Exception as error:  # noqa: BLE001 - whatever ends Kopf, the models are watched on
            metrics.WATCH_FAILURES.labels(names.MODEL_KIND).inc()
            level = log.debug if pauses.failures else log.warning
            level("watch of models ended", error=f"{type(error).__name__}: {error}"[:500])
        if monotonic() - began >= HEALTHY_SECONDS:
            pauses.reset()
        if not stop.is_set():
            await pauses.pause()


async def _reactor(
    registry: kopf.OperatorRegistry,
    namespaces: Collection[str],
    *,
    ready: asyncio.Event,
    stop: asyncio.Event,
    on_start: Callable[[], None],
) -> None:
    tasks = await kopf.spawn_tasks(
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
    on_start()
    await kopf.run_tasks(tasks, ignored=_TasksOfOthers())
