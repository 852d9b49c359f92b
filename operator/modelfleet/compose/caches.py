"""Stores of watched objects, the reflectors that fill them, and the census of models.

`compose.operator` makes them. Only wiring.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from modelfleet.api import names
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
from modelfleet.settings import Settings
from modelfleet.telemetry import metrics

CENSUS_SECONDS = 600.0
SETTLE_SECONDS = 0.1
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

    def waiting(self) -> list[str]:
        """Return the kinds that have not been listed yet."""
        return [r.resource.kind for r in self.reflectors if not r.synced.is_set()]


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
    return [part.strip() for part in settings.watch_namespaces.split(",") if part.strip()]


async def census(
    client: KubeClient, stores: Stores, settings: Settings, observer: Observer
) -> None:
    """Count the models again and again: Kopf does not report those deleted without its watch."""
    while True:
        await asyncio.sleep(CENSUS_SECONDS)
        observer.forget_gone()
        await count_models(client, stores, settings)


async def count_models(client: KubeClient, stores: Stores, settings: Settings) -> bool:
    """Store all models that exist; return whether all of them could be read."""
    is_whole = True
    for namespace in namespaces_of(settings) or [None]:
        try:
            items, version = await client.list(MODELS, namespace, {})
        except ModelfleetError as error:
            log.warning("census failed", error=str(error))
            is_whole = False
            continue
        stores.models.replace(items, version, namespace)
    metrics.MODELS.set(len(stores.models))
    return is_whole


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
