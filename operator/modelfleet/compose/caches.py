"""Stores of watched objects, the reflectors that fill them, and the census of models.

`compose.operator` makes them. Only wiring.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from modelfleet.api import names
from modelfleet.backoff import Backoff
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.loop.operator_health import OperatorHealth
from modelfleet.engine.loop.queue import KeyQueue
from modelfleet.engine.model import change_filter
from modelfleet.engine.model.observe import Observer
from modelfleet.errors import ModelfleetError
from modelfleet.facts.identity import Key
from modelfleet.kube.apply import Applier
from modelfleet.kube.client import KubeClient
from modelfleet.kube.lease import Lease
from modelfleet.kube.reflector import Reflector
from modelfleet.kube.resource import (
    BUDGETS,
    DEPLOYMENTS,
    MODELS,
    PODS,
    SERVICES,
    VERSIONS,
    ResourceKind,
)
from modelfleet.kube.store import Store, own_key
from modelfleet.settings import Settings, listed
from modelfleet.telemetry import metrics

CENSUS_SECONDS = 600.0
SETTLE_SECONDS = 0.1
BUDGET_SECONDS = 10.0
"""Longest wait for the first list of budgets: a role of an older release does not allow it."""
_OURS = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY},{names.LABEL_MODEL}"
_GATEWAY_PODS = f"app.kubernetes.io/name={names.GATEWAY_NAME}"

log = structlog.get_logger()


@dataclass(slots=True)
class Stores:
    """All stores with the reflectors that fill them; Kopf fills the models."""

    models: Store
    versions: Store
    deployments: Store
    services: Store
    budgets: Store
    pods: Store
    gateway_pods: Store
    reflectors: list[Reflector]

    @property
    def needed(self) -> list[Reflector]:
        """Those without which no model can be decided; a budget only protects replicas."""
        return [r for r in self.reflectors if r.resource is not BUDGETS]

    def waiting(self) -> list[str]:
        """Return the kinds that have not been listed yet."""
        return sorted({r.resource.kind for r in self.needed if not r.synced.is_set()})

    def knows_budgets(self) -> bool:
        """Return whether the budgets were listed; without the right to do so they never are."""
        return all(r.synced.is_set() for r in self.reflectors if r.resource is BUDGETS)

    def watch_health(self, health: OperatorHealth) -> None:
        """Add a check for each kind: the worst of its watches counts."""
        for kind in sorted({r.resource.kind for r in self.reflectors}):
            watches = [r for r in self.reflectors if r.resource.kind == kind]
            health.watch(
                kind,
                silent_seconds=partial(_worst, watches, "silent_seconds"),
                stuck_seconds=partial(_worst, watches, "stuck_seconds"),
            )

    def keys(self, ledger: Ledger) -> set[Key]:
        """Return all models that exist, or that the ledger has still to forget."""
        return {own_key(model) for model in self.models.all()} | {k for k, _ in ledger.items()}


def _worst(watches: list[Reflector], name: str) -> float:
    seconds: float = max(getattr(watch, name) for watch in watches)
    return seconds


def stores_of(client: KubeClient, settings: Settings, queue: KeyQueue) -> Stores:
    """Return stores of all kinds, empty; Kopf fills the models."""
    namespaces = namespaces_of(settings) or [None]

    def settle(key: Key) -> None:
        # Children change in bursts (a pod passes through four states in a second). No request
        # waits for these turns: the gateways watch endpoints themselves.
        queue.wake_later(key, SETTLE_SECONDS)

    stores = Stores(
        models=Store(queue.wake, own_key),
        versions=Store(settle),
        deployments=Store(settle, reads=change_filter.of_child),
        services=Store(settle, reads=change_filter.of_child),
        budgets=Store(settle, reads=change_filter.of_child),
        pods=Store(settle, reads=change_filter.of_pod),
        gateway_pods=Store(),
        reflectors=[],
    )

    def reflect(resource: ResourceKind, store: Store, namespace: str | None, selector: str) -> None:
        stores.reflectors.append(
            Reflector(client, resource, store, namespace=namespace, selector=selector)
        )

    for namespace in namespaces:
        reflect(VERSIONS, stores.versions, namespace, "")
        reflect(DEPLOYMENTS, stores.deployments, namespace, _OURS)
        reflect(SERVICES, stores.services, namespace, _OURS)
        reflect(BUDGETS, stores.budgets, namespace, _OURS)
        reflect(PODS, stores.pods, namespace, _OURS)
    if settings.gateway == "On":
        reflect(PODS, stores.gateway_pods, settings.namespace, _GATEWAY_PODS)
    return stores


def namespaces_of(settings: Settings) -> list[str | None]:
    """Return the namespaces that are watched; empty means all."""
    return [*listed(settings.watch_namespaces)]


async def census(
    client: KubeClient, stores: Stores, settings: Settings, observer: Observer
) -> None:
    """Count the models again and again: Kopf does not report those deleted without its watch."""
    while True:
        await asyncio.sleep(CENSUS_SECONDS)
        observer.forget_gone()
        try:
            await count_models(client, stores, settings)
        except ModelfleetError as error:
            log.warning("census failed", error=str(error))


async def count_models(client: KubeClient, stores: Stores, settings: Settings) -> None:
    """Store all models that exist.

    Raises ModelfleetError when some cannot be read; the rest is stored.
    """
    failure: ModelfleetError | None = None
    for namespace in namespaces_of(settings) or [None]:
        try:
            items, version = await client.list(MODELS, namespace, {})
        except ModelfleetError as error:
            failure = error
            continue
        stores.models.replace(items, version, namespace)
    metrics.MODELS.set(len(stores.models))
    if failure is not None:
        raise failure


async def fill(stores: Stores, ready: asyncio.Event, count: Callable[[], Awaitable[None]]) -> None:
    """Wait for the first lists.

    Kopf does not report when it has delivered all models, and memory is recalled only once.
    Therefore the models are counted first.
    """
    await ready.wait()
    for reflector in stores.needed:
        await reflector.synced.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(BUDGET_SECONDS):
            for reflector in stores.reflectors:
                await reflector.synced.wait()
    await persist("models not listed", count)


async def refresh(stores: Stores, count: Callable[[], Awaitable[None]]) -> None:
    """List everything again: the watches may be behind, and other leaders may have written."""

    async def lists() -> None:
        parts = [*(reflector.refresh() for reflector in stores.needed), count()]
        for outcome in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    await persist("objects not listed", lists)


async def persist(event: str, attempt: Callable[[], Awaitable[None]]) -> None:
    """Make attempts until one succeeds, with pauses; log the first failure as `event`."""
    backoff = Backoff()
    while True:
        try:
            await attempt()
        except ModelfleetError as error:
            (log.debug if backoff.failures else log.warning)(event, error=str(error))
            await backoff.pause(error)
        else:
            return


def on_model(models: Store) -> Callable[[str | None, dict[str, Any]], None]:
    """Return the function that Kopf calls with each event of a model."""

    def store_event(kind: str | None, item: dict[str, Any]) -> None:
        if kind == "DELETED":
            models.remove(item)
        else:
            models.put(item)
        metrics.MODELS.set(len(models))

    return store_event


def applier_of(stores: Stores, client: KubeClient, lease: Lease) -> Applier:
    """Return the applier, which writes through to the stores."""
    by_kind = {
        MODELS.kind: stores.models,
        VERSIONS.kind: stores.versions,
        DEPLOYMENTS.kind: stores.deployments,
        SERVICES.kind: stores.services,
        BUDGETS.kind: stores.budgets,
        PODS.kind: stores.pods,
    }
    return Applier(client, by_kind, lambda: lease.is_held)
