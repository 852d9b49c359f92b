"""Composition root: the only file that knows all concrete classes. No logic.

Called by `__main__` for the long-running processes. What is optional (gateways) is decided here
by leaving it out.
"""

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from modelfleet import __version__
from modelfleet.api import names
from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.loop.leader import lead
from modelfleet.engine.loop.lifecycle import signalled, until_stopped
from modelfleet.engine.loop.operator_health import OperatorHealth
from modelfleet.engine.loop.queue import KeyQueue
from modelfleet.engine.loop.worker import Workers
from modelfleet.engine.memory import public_traces
from modelfleet.engine.memory.history_backfill import HistoryBackfill
from modelfleet.engine.memory.learned_file import LearnedFile
from modelfleet.engine.memory.learned_status import LearnedStatus
from modelfleet.engine.model import change_filter
from modelfleet.engine.model.observe import Caches, Observer, is_followed
from modelfleet.engine.model.turn import ModelTurns, ScalingTimes
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.errors import ModelfleetError
from modelfleet.facts.identity import Key
from modelfleet.facts.model import Defaults
from modelfleet.frontdoor import kopf_watch
from modelfleet.kube.access import load_access
from modelfleet.kube.apply import Applier
from modelfleet.kube.client import KubeClient
from modelfleet.kube.config_maps import ConfigMaps
from modelfleet.kube.event_publisher import Publisher
from modelfleet.kube.lease import Lease
from modelfleet.kube.link_secret import link_secret
from modelfleet.kube.reflector import Reflector
from modelfleet.kube.resource import DEPLOYMENTS, MODELS, PODS, SERVICES, VERSIONS, ResourceKind
from modelfleet.kube.store import Store, own_key
from modelfleet.link.link_client import GatewayLinks
from modelfleet.prometheus.past_arrivals import PrometheusPast
from modelfleet.prometheus.signal_reader import PrometheusSource, Rhythm
from modelfleet.settings import Settings
from modelfleet.telemetry import endpoints, logs, metrics

if TYPE_CHECKING:
    from modelfleet.prometheus.connection import PrometheusServer

CENSUS_SECONDS = 600.0
SETTLE_SECONDS = 0.1
HISTORY_SECONDS = 30.0
"""Patience with a query for a day of many models."""
COLLECT_AFTER = (20_000, 20, 20)
_OURS = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY},{names.LABEL_MODEL}"
_GATEWAY_PODS = f"app.kubernetes.io/name={names.GATEWAY_NAME}"

log = structlog.get_logger()


@dataclass(slots=True)
class Cache:
    """All stores with the reflectors that fill them; models are filled by Kopf."""

    models: Store
    versions: Store
    deployments: Store
    services: Store
    pods: Store
    gateway_pods: Store
    reflectors: list[Reflector]

    def waiting(self) -> list[str]:
        """Kinds that have not been listed yet."""
        return [r.resource.kind for r in self.reflectors if not r.synced.is_set()]


def _address(settings: Settings) -> tuple[str, int]:
    return settings.health_address, settings.health_port


def _defaults(settings: Settings) -> Defaults:
    host = f"{names.GATEWAY_NAME}.{settings.namespace}.svc.{settings.cluster_domain}"
    return Defaults(
        server_image=settings.server_image,
        image_pull_policy=settings.image_pull_policy,
        exposure=settings.default_exposure,
        concurrency=settings.default_concurrency,
        keep_warm_seconds=settings.keep_warm_seconds,
        hopeless_seconds=settings.hopeless_seconds,
        pre_stop_seconds=settings.pre_stop_seconds,
        cluster_domain=settings.cluster_domain,
        gateway_host=host,
        release=__version__,
    )


def _cache(client: KubeClient, settings: Settings, queue: KeyQueue) -> Cache:
    namespaces = _namespaces(settings) or [None]

    def settle(key: Key) -> None:
        # Children change in bursts (a pod passes through four states in a second), and no request
        # waits for us to see them: the gateways watch endpoints themselves.
        queue.wake_later(key, SETTLE_SECONDS)

    cache = Cache(
        models=Store(queue.wake, own_key),
        versions=Store(settle),
        deployments=Store(settle, reads=change_filter.of_child),
        services=Store(settle, reads=change_filter.of_child),
        pods=Store(settle, reads=change_filter.of_pod),
        gateway_pods=Store(),
        reflectors=[],
    )

    def reflect(resource: ResourceKind, store: Store, namespace: str | None, selector: str) -> None:
        cache.reflectors.append(
            Reflector(client, resource, store, namespace=namespace, selector=selector)
        )

    for namespace in namespaces:
        reflect(VERSIONS, cache.versions, namespace, "")
        reflect(DEPLOYMENTS, cache.deployments, namespace, _OURS)
        reflect(SERVICES, cache.services, namespace, _OURS)
        reflect(PODS, cache.pods, namespace, _OURS)
    if settings.gateway == "On":
        reflect(PODS, cache.gateway_pods, settings.namespace, _GATEWAY_PODS)
    return cache


def _namespaces(settings: Settings) -> list[str | None]:
    return [part.strip() for part in settings.watch_namespaces.split(",") if part.strip()]


async def _links(client: KubeClient, settings: Settings, queue: KeyQueue) -> GatewayLinks:
    secret = await link_secret(client, settings.namespace)
    return GatewayLinks(
        certificate_pem=secret["tls.crt"].decode(),
        token=secret["token"].decode(),
        on_change=lambda key, _why: queue.wake(Key.parse(key)),
    )


async def _follow_gateways(links: GatewayLinks, pods: Store, drain_seconds: float) -> None:
    """Streams follow the gateway pods that could get traffic, or soon will."""
    while True:
        now = datetime.now(UTC)
        links.update(
            {
                pod["metadata"]["name"]: pod["status"]["podIP"]
                for pod in pods.all()
                if is_followed(pod, now, drain_seconds)
            }
        )
        connected = links.connected()
        metrics.GATEWAY_SILENT.set(sum(not alive for alive in connected.values()))
        await asyncio.sleep(0.2)


async def _census(client: KubeClient, cache: Cache, settings: Settings, observer: Observer) -> None:
    """Models that vanished while Kopf's watch was away are never reported by it: count anew."""
    while True:
        await asyncio.sleep(CENSUS_SECONDS)
        observer.forget_gone()
        await _count(client, cache, settings)


async def _count(client: KubeClient, cache: Cache, settings: Settings) -> bool:
    """Take all models that there are; returns whether all were told."""
    is_whole = True
    for namespace in _namespaces(settings) or [None]:
        try:
            items, version = await client.list(MODELS, namespace, {})
        except ModelfleetError as error:
            log.warning("census failed", error=str(error))
            is_whole = False
            continue
        cache.models.replace(items, version, namespace)
    metrics.MODELS.set(len(cache.models))
    return is_whole


def _model_seen(models: Store) -> Callable[[str | None, dict[str, Any]], None]:
    def seen(kind: str | None, item: dict[str, Any]) -> None:
        if kind == "DELETED":
            models.remove(item)
        else:
            models.put(item)
        metrics.MODELS.set(len(models))

    return seen


def _applier(cache: Cache, client: KubeClient, lease: Lease) -> Applier:
    stores = {
        MODELS.kind: cache.models,
        VERSIONS.kind: cache.versions,
        DEPLOYMENTS.kind: cache.deployments,
        SERVICES.kind: cache.services,
        PODS.kind: cache.pods,
    }
    return Applier(client, stores, lambda: lease.is_held)


def _turner(
    cache: Cache,
    client: KubeClient,
    writer: Applier,
    publisher: Publisher,
    parts: tuple[Observer, Ledger, KeyQueue, Settings],
) -> ModelTurns:
    observer, ledger, queue, settings = parts
    return ModelTurns(
        cache.models,
        observer,
        writer,
        publisher,
        configs=ConfigMaps(client),
        ledger=ledger,
        pace=ScalingTimes(settings.scale_down_seconds, settings.keep_alive_seconds),
        on_observe=queue.observed,
    )


def _kept(
    cache: Cache,
    lease: Lease,
    writer: Applier,
    ticker: Ticker | None,
    parts: tuple[Ledger, Settings],
) -> tuple[LearnedFile | None, LearnedStatus | None, HistoryBackfill | None]:
    """What the autoscaler knows of earlier times: a file, statuses, and what a Prometheus kept."""
    ledger, settings = parts
    if ticker is None:
        return None, None, None
    folder = Path(settings.state_dir) if settings.state_dir else None
    known = (ledger, ticker.forecaster)
    memory = LearnedFile(folder, *known, models=cache.models, may_write=lambda: lease.is_held)
    lessons = LearnedStatus(cache.models, cache.versions, *known, writer)
    return memory, lessons, _filler(cache, ticker.forecaster, settings)


def _filler(cache: Cache, forecaster: Forecaster, settings: Settings) -> HistoryBackfill | None:
    if not settings.prometheus_url:
        return None
    patience = max(HISTORY_SECONDS, settings.prometheus_timeout_seconds)
    server = _prometheus_server(settings, patience)
    past = PrometheusPast(server, settings.namespace, settings.prometheus_window_seconds)
    return HistoryBackfill(past, forecaster, cache.models, public_traces.traces())


def _sight(cache: Cache, links: GatewayLinks | None, settings: Settings) -> Caches:
    return Caches(
        models=cache.models,
        versions=cache.versions,
        deployments=cache.deployments,
        services=cache.services,
        pods=cache.pods,
        gateway_pods=cache.gateway_pods,
        gateways=links,
        defaults=_defaults(settings),
        gateway_drain_seconds=settings.gateway_drain_seconds,
    )


def _prometheus(ledger: Ledger, settings: Settings) -> PrometheusSource:
    rhythm = Rhythm(settings.prometheus_interval_seconds, settings.prometheus_window_seconds)
    if not settings.prometheus_url:
        return PrometheusSource(None, ledger.watched, rhythm)
    server = _prometheus_server(settings, settings.prometheus_timeout_seconds)
    return PrometheusSource(server, ledger.watched, rhythm)


def _prometheus_server(settings: Settings, patience_seconds: float) -> "PrometheusServer":
    # Its client is large; who has no Prometheus does without.
    from modelfleet.prometheus.connection import PrometheusAccess, PrometheusServer

    access = PrometheusAccess(settings.prometheus_token_file, settings.prometheus_ca_file)
    return PrometheusServer(settings.prometheus_url, patience_seconds, access)


def _ticker(
    ledger: Ledger,
    links: GatewayLinks,
    queue: KeyQueue,
    observer: Observer,
    prometheus: PrometheusSource,
) -> Ticker:
    forecaster = Forecaster(Priors(public_traces.traces(), SHIPPED), publishes=True)
    ticker = Ticker(ledger, links, queue.wake, forecaster=forecaster, readings=prometheus)
    observer.silent_seconds = ticker.silent_seconds
    links.on_held = lambda key: ticker.tick_one(Key.parse(key))
    return ticker


async def operator(settings: Settings) -> int:
    """The operator; returns the exit code."""
    logs.configure(settings.log_format, settings.log_level)
    # Cluster objects are trees that live long: looking for cycles in them every 700 allocations
    # finds nothing.
    gc.set_threshold(*COLLECT_AFTER)
    access = load_access(settings.kube_context, environment=dict(os.environ))
    client = KubeClient(access, concurrency=settings.api_concurrency)
    queue, ledger, health = KeyQueue(), Ledger(), OperatorHealth()
    cache = _cache(client, settings, queue)
    identity = settings.pod_name or f"{socket.gethostname()}-{os.getpid()}"
    lease = Lease(
        client,
        namespace=settings.namespace,
        name=settings.lease_name,
        identity=identity,
        seconds=settings.lease_seconds,
    )
    publisher = Publisher(client, identity)
    links = await _links(client, settings, queue) if settings.gateway == "On" else None
    observer = Observer(_sight(cache, links, settings), lambda: datetime.now(UTC))
    prometheus = _prometheus(ledger, settings)
    ticker = None if links is None else _ticker(ledger, links, queue, observer, prometheus)
    writer = _applier(cache, client, lease)
    turner = _turner(cache, client, writer, publisher, (observer, ledger, queue, settings))
    memory, lessons, filler = _kept(cache, lease, writer, ticker, (ledger, settings))
    workers = Workers(queue, turner.turn, count=settings.workers)
    for reflector in cache.reflectors:
        health.watch(reflector.resource.kind, lambda r=reflector: r.silent_seconds)  # type: ignore[misc] # mypy cannot infer a lambda with a bound default
    health.waits(lambda: queue.oldest_seconds if lease.is_held else 0.0)
    led = (workers, ticker, settings.tick_seconds, memory, lessons)
    stop, over, ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
    registry = kopf_watch.registry_of(
        server=access.server, session=lambda: client.session, on_model=_model_seen(cache.models)
    )
    namespaces = [n for n in _namespaces(settings) if n]
    reactor = kopf_watch.run(registry, namespaces, ready=ready, stop=over)
    background: list[Awaitable[Any]] = [
        *(reflector.run() for reflector in cache.reflectors),
        _census(client, cache, settings, observer),
        publisher.run(),
        health.beat(),
        endpoints.serve_endpoints(_address(settings), health.report, cache.waiting),
        _lead(
            *(lease, cache, ready),
            lambda: _count(client, cache, settings),
            lambda: lead(*led, filler=filler),
        ),
    ]
    if links is not None:
        background += [
            prometheus.run(),
            links.run(),
            _follow_gateways(links, cache.gateway_pods, settings.gateway_drain_seconds),
        ]
    try:
        return await until_stopped([*background, signalled(ready, stop)], reactor, stop, over)
    finally:
        await lease.release()
        await client.close()


async def _lead(
    lease: Lease,
    cache: Cache,
    ready: asyncio.Event,
    count: Callable[[], Awaitable[bool]],
    leading: Callable[[], Awaitable[None]],
) -> None:
    """Hot stores first, then the Lease, then the work.

    Kopf never says that it has told all models, and memory is recalled once: they are counted.
    """
    await ready.wait()
    for reflector in cache.reflectors:
        await reflector.synced.wait()
    while not await count():  # noqa: ASYNC110 - the answer is in the API server
        await asyncio.sleep(1.0)
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(lease.run(), name="lease")
        await lease.held.wait()
        work = asyncio.ensure_future(leading())
        try:
            await asyncio.wait([keeper, work], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Also at a signal: what was learned is saved while the Lease is still held.
            work.cancel()
            await asyncio.wait([work])
            keeper.cancel()
