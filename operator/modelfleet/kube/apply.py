"""Applier: writes the parts of a plan, each by the one request that fits it.

`model.turn` calls it. The object in each answer goes into its store at once. Must never adopt an
object that is not ours, and never write while the Lease is not held.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.api.base import ApiObject
from modelfleet.api.tolerant import with_unknown
from modelfleet.build.metadata import is_owned
from modelfleet.errors import Gone, NameTaken, Transient
from modelfleet.facts.identity import Key
from modelfleet.facts.plan import (
    Create,
    Delete,
    PodService,
    PolicyLearned,
    Repair,
    Scale,
    VersionLearned,
)
from modelfleet.kube.client import APPLY_PATCH, JSON_PATCH, KubeClient, TakenError
from modelfleet.kube.resource import BY_KIND, DEPLOYMENTS, MODELS, PODS, VERSIONS, ResourceKind
from modelfleet.kube.store import Store

_OWN_PARTS = ("template", "selector", "ports")
"""Parts of a spec that are ours alone. A Deployment's selector is immutable."""


class Applier:
    """Writes to the API server and through to the stores."""

    def __init__(
        self, client: KubeClient, stores: Mapping[str, Store], may_write: Callable[[], bool]
    ) -> None:
        """`stores` by kind; `may_write` returns whether the Lease is held right now."""
        self._client = client
        self._stores = stores
        self._may_write = may_write

    def _check(self) -> None:
        if not self._may_write():
            msg = "the Lease is not held"
            raise Transient(msg, retry_after=1.0)

    async def create(self, key: Key, uid: str, create: Create) -> None:
        """Create an object with POST; accept an existing one of ours, refuse a foreign one."""
        self._check()
        manifest = create.manifest
        resource = BY_KIND[manifest["kind"]]
        try:
            created = await self._client.post(resource, key.namespace, manifest)
        except TakenError:
            created = await self._client.get(resource, key.namespace, manifest["metadata"]["name"])
            if not is_owned(created, uid):
                raise _name_error(resource.kind, created, key) from None
        self._store(resource.kind, created)

    async def repair(self, key: Key, repair: Repair) -> dict[str, Any]:
        """Apply our fields to the very object, without replicas; return the live object."""
        self._check()
        manifest = repair.manifest
        resource = BY_KIND[manifest["kind"]]
        body = {**manifest, "metadata": {**manifest["metadata"], "uid": repair.uid}}
        path = resource.path(key.namespace, manifest["metadata"]["name"])
        live = await self._client.patch(path, body, kind=resource.kind, content_type=APPLY_PATCH)
        self._store(resource.kind, live)
        return live

    async def replace(self, key: Key, repair: Repair) -> dict[str, Any]:
        """Replace whole parts that are ours alone: an apply leaves the additions of others."""
        self._check()
        manifest = repair.manifest
        resource = BY_KIND[manifest["kind"]]
        patch = [{"op": "test", "path": "/metadata/uid", "value": repair.uid}]
        patch += [
            {"op": "add", "path": f"/spec/{part}", "value": manifest["spec"][part]}
            for part in _OWN_PARTS
            if part in manifest["spec"] and (resource.kind, part) != ("Deployment", "selector")
        ]
        path = resource.path(key.namespace, manifest["metadata"]["name"])
        live = await self._client.patch(path, patch, kind=resource.kind, content_type=JSON_PATCH)
        self._store(resource.kind, live)
        return live

    async def set_service(self, key: Key, change: PodService) -> None:
        """Take a pod out of its Service with the lowest deletion cost, or put it back."""
        self._check()
        label = names.IN_SERVICE if change.in_service else names.OUT_OF_SERVICE
        cost = None if change.in_service else "-1000"
        body = {
            "metadata": {
                "uid": change.uid,
                "labels": {names.LABEL_IN_SERVICE: label},
                "annotations": {names.ANNOTATION_DELETION_COST: cost},
            }
        }
        try:
            patched = await self._client.patch(
                PODS.path(key.namespace, change.name), body, kind=PODS.kind
            )
        except Gone:
            return
        self._store(PODS.kind, patched)

    async def scale(self, key: Key, scale: Scale, *, is_down: bool) -> None:
        """Set replicas by a request of its own; a decrease only on the state that was read."""
        self._check()
        meta: dict[str, Any] = {"uid": scale.uid}
        if is_down:
            meta["resourceVersion"] = scale.resource_version
        scaled = await self._client.patch(
            DEPLOYMENTS.path(key.namespace, scale.name),
            {"metadata": meta, "spec": {"replicas": scale.replicas}},
            kind=DEPLOYMENTS.kind,
            manager=names.SCALE_FIELD_MANAGER,
        )
        self._store(DEPLOYMENTS.kind, scaled)

    async def delete(self, key: Key, delete: Delete) -> None:
        """Delete exactly the object that was read; one that is deleted already is fine."""
        self._check()
        resource = BY_KIND[delete.kind]
        store = self._stores[delete.kind]
        known = store.get(key.namespace, delete.name)
        try:
            await self._client.delete(resource, key.namespace, delete.name, {"uid": delete.uid})
        except Gone:
            if known is not None and known["metadata"]["uid"] == delete.uid:
                store.remove(known)
        else:
            if known is not None:
                known["metadata"].setdefault("deletionTimestamp", "now")

    async def learn(self, key: Key, learned: VersionLearned) -> None:
        """Write the status of a version: outcome, learned start-up time and image."""
        self._check()
        status: dict[str, Any] = {"outcome": learned.outcome, "observedGeneration": 1}
        if learned.startup_milliseconds is not None:
            status["startupMilliseconds"] = learned.startup_milliseconds
        if learned.image_id is not None:
            status["imageId"] = learned.image_id
        patched = await self._client.patch(
            VERSIONS.path(key.namespace, learned.name, "status"),
            {"status": status},
            kind=VERSIONS.kind,
        )
        self._store(VERSIONS.kind, patched)

    async def note_policy(self, key: Key, learned: PolicyLearned) -> None:
        """Write the whole learned status of the autoscaler into the status of this version."""
        self._check()
        path = VERSIONS.path(key.namespace, learned.name, "status")
        known = self._stores[VERSIONS.kind].get(key.namespace, learned.name) or {}
        before = (known.get("status") or {}).get("learned") or {}
        change = merge_patch(before, learned.learned)
        body = {"metadata": {"uid": learned.uid}, "status": {"learned": change}}
        self._store(VERSIONS.kind, await self._client.patch(path, body, kind=VERSIONS.kind))

    async def publish_status(
        self, item: Mapping[str, Any], status: ApiObject, resource: ResourceKind = MODELS
    ) -> tuple[str, ...]:
        """Write the status if it differs from the object's; return the fields that changed.

        Fields that only a newer release knows stay.
        """
        body = status.model_dump(by_alias=True, exclude_none=True, mode="json")
        wanted = with_unknown(type(status), item.get("status"), body)
        change = merge_patch(item.get("status") or {}, wanted)
        if not change:
            return ()
        self._check()
        meta = item["metadata"]
        written = await self._client.patch(
            resource.path(meta["namespace"], meta["name"], "status"),
            {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": change},
            kind=resource.kind,
        )
        self._store(resource.kind, written)
        return changed_fields(item.get("status") or {}, change)

    def _store(self, kind: str, item: dict[str, Any]) -> None:
        store = self._stores.get(kind)
        if store is not None:
            store.keep(item)


def _name_error(kind: str, item: Mapping[str, Any], key: Key) -> Exception:
    """Return the error for a name that a foreign object has.

    An object of a deleted model of the same name goes away by itself. Any other object is left
    alone.
    """
    for owner in item["metadata"].get("ownerReferences") or []:
        if owner.get("kind") == MODELS.kind and owner.get("name") == key.name:
            return Transient("the objects of the deleted model are still there", retry_after=1.0)
    return NameTaken(kind, item["metadata"]["name"])


def changed_fields(old: Mapping[str, Any], change: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields of a status change; conditions by their type."""
    stored = old.get("conditions")
    old_conditions = {
        c.get("type"): c
        for c in (stored if isinstance(stored, list) else [])
        if isinstance(c, Mapping) and isinstance(c.get("type"), str)
    }
    conditions = [
        c["type"] for c in change.get("conditions") or [] if old_conditions.get(c["type"]) != c
    ]
    return (*sorted(key for key in change if key != "conditions"), *conditions)


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7396) from `old` to `new`; empty when they are equal.

    Worked example: {'a': 1, 'b': 2} to {'a': 1, 'c': 3} is {'b': None, 'c': 3}.
    """
    change: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            change[key] = value
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping):
            below = merge_patch(old[key], value)
            if below:
                change[key] = below
        elif old[key] != value:
            change[key] = value
    return change
