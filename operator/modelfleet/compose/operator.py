"""Composition root of the operator: the only module that imports all concrete classes. No logic.

`modelfleet operator` runs it. An optional part (gateways) is left out here.
"""

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from modelfleet import __version__
from modelfleet.api import names
from modelfleet.compose.caches import (
    Stores,
    applier_of,
    census,
    count_models,
    fill,
    namespaces_of,
    on_model,
    refresh,
    stores_of,
)
from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.loop.leader import lead
from modelfleet.engine.loop.lifecycle import catch_signals, until_stopped
from modelfleet.engine.loop.operator_health import OperatorHealth
from modelfleet.engine.loop.queue import KeyQueue
from modelfleet.engine.loop.terms import Terms
from modelfleet.engine.loop.worker import Workers
from modelfleet.engine.memory import public_traces
from modelfleet.engine.memory.history_backfill import HistoryBackfill
from modelfleet.engine.memory.learned_file import LearnedFile
from modelfleet.engine.memory.learned_status import LearnedStatus
from modelfleet.engine.model.gateway_pods import is_followed
from modelfleet.engine.model.last_turn import ScalingTimes
from modelfleet.engine.model.observe import Caches, Observer
from modelfleet.engine.model.turn import ModelTurns
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.facts.identity import Key
from modelfleet.facts.model import Defaults
from modelfleet.frontdoor import kopf_watch
from modelfleet.kube.access import load_access
from modelfleet.kube.apply import Applier
from modelfleet.kube.client import KubeClient
from modelfleet.kube.config_maps import ConfigMaps
from modelfleet.kube.event_publisher import Publisher
from modelfleet.kube.lease import Lease
from modelfleet.kube.link_secret import LinkSecret
from modelfleet.kube.resource import MODELS
from modelfleet.kube.store import Store
from modelfleet.link.link_client import GatewayLinks
from modelfleet.link.link_trust import LinkTrust
from modelfleet.prometheus.past_arrivals import PrometheusPast
from modelfleet.prometheus.signal_reader import PrometheusSource, Rhythm
from modelfleet.settings import Settings, listed
from modelfleet.telemetry import endpoints, logs, metrics

if TYPE_CHECKING:
    from modelfleet.prometheus.connection import PrometheusServer

HISTORY_SECONDS = 30.0
"""Time-out in seconds of a query for one day of many models."""
COLLECT_AFTER = (20_000, 20, 20)

log = structlog.get_logger()


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


def _links(trust: LinkTrust, queue: KeyQueue) -> GatewayLinks:
    return GatewayLinks(trust=trust, on_change=lambda key, _why: queue.wake(Key.parse(key)))


async def _follow_gateways(links: GatewayLinks, pods: Store, drain_seconds: float) -> None:
    """Keep a stream to each gateway pod that can get traffic, or soon will."""
    while True:
        now, connected = datetime.now(UTC), links.connected()
        links.update(
            {
                name: pod["status"]["podIP"]
                for pod in pods.all()
                if is_followed(
                    pod,
                    now,
                    drain_seconds,
                    is_connected=connected.get(name := pod["metadata"]["name"], False),
                )
            }
        )
        metrics.GATEWAY_SILENT.set(sum(not alive for alive in connected.values()))
        await asyncio.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Shared:
    """Parts that most others are made of."""

    settings: Settings
    queue: KeyQueue
    ledger: Ledger
    observer: Observer


def _model_turns(
    shared: Shared, stores: Stores, client: KubeClient, writer: Applier, publisher: Publisher
) -> ModelTurns:
    settings = shared.settings
    return ModelTurns(
        stores.models,
        shared.observer,
        writer,
        publisher,
        configs=ConfigMaps(client),
        ledger=shared.ledger,
        times=ScalingTimes(settings.scale_down_seconds, settings.keep_alive_seconds),
        on_observe=shared.queue.observed,
    )


def _stored_memory(
    shared: Shared, stores: Stores, lease: Lease, writer: Applier, ticker: Ticker | None
) -> tuple[LearnedFile | None, LearnedStatus | None, HistoryBackfill | None]:
    """Return the sources of earlier knowledge: a file, statuses, and a Prometheus."""
    if ticker is None:
        return None, None, None
    settings = shared.settings
    folder = Path(settings.state_dir) if settings.state_dir else None
    learners = (shared.ledger, ticker.forecaster)
    memory = LearnedFile(folder, *learners, models=stores.models, may_write=lambda: lease.is_held)
    learned_status = LearnedStatus(stores.models, stores.versions, *learners, writer)
    return memory, learned_status, _backfill(stores, ticker.forecaster, settings)


def _backfill(stores: Stores, forecaster: Forecaster, settings: Settings) -> HistoryBackfill | None:
    if not settings.prometheus_url:
        return None
    patience = max(HISTORY_SECONDS, settings.prometheus_timeout_seconds)
    server = _prometheus_server(settings, patience)
    past = PrometheusPast(server, settings.namespace, settings.prometheus_window_seconds)
    return HistoryBackfill(past, forecaster, stores.models, public_traces.traces())


def _caches(stores: Stores, links: GatewayLinks | None, settings: Settings) -> Caches:
    return Caches(
        models=stores.models,
        versions=stores.versions,
        deployments=stores.deployments,
        services=stores.services,
        budgets=stores.budgets,
        knows_budgets=stores.knows_budgets,
        pods=stores.pods,
        gateway_pods=stores.gateway_pods,
        gateways=links,
        defaults=_defaults(settings),
        gateway_drain_seconds=settings.gateway_drain_seconds,
    )


def _prometheus(ledger: Ledger, settings: Settings) -> PrometheusSource:
    rhythm = Rhythm(settings.prometheus_interval_seconds, settings.prometheus_window_seconds)
    if not settings.prometheus_url:
        return PrometheusSource(None, ledger.watched, rhythm)
    server = _prometheus_server(settings, settings.prometheus_timeout_seconds)
    allowed = listed(settings.query_namespaces)
    return PrometheusSource(server, ledger.watched, rhythm, query_namespaces=allowed)


def _prometheus_server(settings: Settings, patience_seconds: float) -> "PrometheusServer":
    # The client is large; it is imported only where a Prometheus is set.
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


def _lease(client: KubeClient, settings: Settings, identity: str) -> Lease:
    return Lease(
        client,
        namespace=settings.namespace,
        name=settings.lease_name,
        identity=identity,
        seconds=settings.lease_seconds,
    )


def run_operator(_: list[str]) -> int:
    """Run the operator until it is signalled; return the exit code."""
    return uvloop.run(operator(Settings()))


async def operator(settings: Settings) -> int:
    """Run the operator; return the exit code."""
    logs.configure(settings.log_format, settings.log_level)
    # Cluster objects are trees that stay long in memory. A search for cycles in them every 700
    # allocations finds nothing.
    gc.set_threshold(*COLLECT_AFTER)
    access = load_access(settings.kube_context, environment=dict(os.environ))
    client = KubeClient(access, concurrency=settings.api_concurrency)
    queue, ledger, health = KeyQueue(), Ledger(), OperatorHealth()
    stores = stores_of(client, settings, queue)
    identity = settings.pod_name or f"{socket.gethostname()}-{os.getpid()}"
    lease = _lease(client, settings, identity)
    publisher = Publisher(client, identity, lambda: lease.is_held)
    trust = LinkTrust()
    links = _links(trust, queue) if settings.gateway == "On" else None
    observer = Observer(_caches(stores, links, settings), lambda: datetime.now(UTC))
    prometheus = _prometheus(ledger, settings)
    ticker = None if links is None else _ticker(ledger, links, queue, observer, prometheus)
    writer = applier_of(stores, client, lease)
    shared = Shared(settings, queue, ledger, observer)
    turns = _model_turns(shared, stores, client, writer, publisher)
    memory, learned_status, backfill = _stored_memory(shared, stores, lease, writer, ticker)
    workers = Workers(queue, turns.turn, count=settings.workers)
    loops = (workers, ticker, settings.tick_seconds, memory, learned_status)
    stop, over, ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
    count = partial(count_models, client, stores, settings)
    terms = _terms(shared, stores, lease, partial(lead, *loops, backfill=backfill), (ready, count))
    stores.watch_health(health)
    health.turns(lambda: queue.stuck_seconds if terms.is_leading else 0.0)
    background: list[Awaitable[Any]] = [
        *(reflector.run() for reflector in stores.reflectors),
        census(client, stores, settings, observer),
        publisher.run(),
        health.beat(),
        endpoints.serve_application(
            endpoints.health_application(_waiting(stores, client), health.report),
            _address(settings),
        ),
        terms.run(),
        stop.wait(),
    ]
    if links is not None:
        background += [
            prometheus.run(),
            links.run(),
            _link_secret(client, lease, settings, trust).run(),
            _follow_gateways(links, stores.gateway_pods, settings.gateway_drain_seconds),
        ]
    catch_signals(stop)
    reactor = _reactor(client, stores, settings, (ready, stop, over))
    try:
        return await until_stopped(background, reactor, stop, over)
    finally:
        await lease.release()
        await client.close()


def _reactor(
    client: KubeClient,
    stores: Stores,
    settings: Settings,
    events: tuple[asyncio.Event, asyncio.Event, asyncio.Event],
) -> Awaitable[None]:
    ready, stop, over = events
    registry = kopf_watch.registry_of(
        server=client.access.server, session=client.new_session, on_model=on_model(stores.models)
    )
    return kopf_watch.run(
        registry,
        [namespace for namespace in namespaces_of(settings) if namespace],
        ready=ready,
        stop=over,
        is_served=partial(client.serves, MODELS),
        on_start=partial(catch_signals, stop),
    )


def _waiting(stores: Stores, client: KubeClient) -> Callable[[], list[str]]:
    """Return the function that names what the start waits for, and the API server if it is away."""

    def waiting() -> list[str]:
        kinds = stores.waiting()
        return [*kinds, *client.reachability.faults()] if kinds else []

    return waiting


def _link_secret(
    client: KubeClient, lease: Lease, settings: Settings, trust: LinkTrust
) -> LinkSecret:
    return LinkSecret(
        client, settings.namespace, may_write=lambda: lease.is_held, on_change=trust.use
    )


def _terms(
    shared: Shared,
    stores: Stores,
    lease: Lease,
    leading: Callable[[], Awaitable[None]],
    lists: tuple[asyncio.Event, Callable[[], Awaitable[None]]],
) -> Terms:
    def begin() -> None:
        shared.queue.restart(stores.keys(shared.ledger))

    def end() -> None:
        shared.ledger.end_term()
        shared.observer.end_term()
        metrics.forget_models()

    ready, count = lists
    return Terms(
        lease,
        fill=partial(fill, stores, ready, count),
        refresh=partial(refresh, stores, count),
        begin=begin,
        lead=leading,
        end=end,
    )
