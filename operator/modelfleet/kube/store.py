"""Store: objects of one kind in memory, with an index by model.

A reflector fills it. The answers to our own writes go into it, too, so that a turn never waits to
see its write. An older state never overwrites a newer one.
"""

from collections.abc import Callable, Iterable
from typing import Any

from modelfleet.api import names
from modelfleet.facts.identity import Key

Json = dict[str, Any]
_MAX_DELETED = 2000


class Store:
    """One kind. `on_change` is called with the key of the model that an object belongs to."""

    def __init__(
        self,
        on_change: Callable[[Key], None] | None = None,
        key_of: Callable[[Json], Key | None] | None = None,
        reads: Callable[[Json], object] | None = None,
    ) -> None:
        """`key_of` returns the model of an object; by default from its label.

        `reads` returns all that a turn reads of an object. A change that leaves it equal is stored
        without a call of `on_change`.
        """
        self._objects: dict[tuple[str, str], Json] = {}
        self._by_model: dict[Key, set[tuple[str, str]]] = {}
        self._deleted: dict[str, int] = {}
        self._on_change = on_change
        self._key_of = key_of or model_key_of
        self._reads = reads

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Json | None:
        """Return the object, or None."""
        return self._objects.get((namespace, name))

    def all(self) -> Iterable[Json]:
        """Return all objects, in no order."""
        return self._objects.values()

    def of_model(self, key: Key) -> list[Json]:
        """Return the objects of a model, sorted by name."""
        return [self._objects[object_name] for object_name in sorted(self._by_model.get(key, ()))]

    def put(self, item: Json) -> None:
        """Store the newest state of an object; a deleted object stays deleted."""
        key = self._store_newer(item)
        if key is not None:
            self._notify(key)

    def keep(self, item: Json) -> None:
        """Store the answer to our own write without a call of `on_change`.

        The turn that wrote looks at the model again itself.
        """
        self._store_newer(item)

    def _store_newer(self, item: Json) -> Key | None:
        """Store a newer state; return the model whose turn must run."""
        meta = item["metadata"]
        if _version(meta) < self._deleted.get(meta["uid"], 0):
            return None
        object_name = (meta.get("namespace", ""), meta["name"])
        old = self._objects.get(object_name)
        if old is not None and not _is_newer(meta, old["metadata"]):
            return None
        self._objects[object_name] = trimmed(item)
        key = self._key_of(item)
        if key is None:
            return None
        self._by_model.setdefault(key, set()).add(object_name)
        return None if old is not None and self._reads_same(old, item) else key

    def _reads_same(self, old: Json, new: Json) -> bool:
        if self._reads is None or old["metadata"]["uid"] != new["metadata"]["uid"]:
            return False
        return self._reads(old) == self._reads(new)

    def remove(self, item: Json) -> None:
        """Remove a deleted object, unless another one has taken its name since."""
        meta = item["metadata"]
        # An object that only left the watch's selector may come back with the same version.
        self._deleted[meta["uid"]] = _version(meta)
        if len(self._deleted) > _MAX_DELETED:
            del self._deleted[next(iter(self._deleted))]
        object_name = (meta.get("namespace", ""), meta["name"])
        old = self._objects.get(object_name)
        if old is None or old["metadata"]["uid"] != meta["uid"]:
            return
        del self._objects[object_name]
        key = self._key_of(old)
        if key is not None:
            self._unindex(key, object_name)
            self._notify(key)

    def replace(self, items: list[Json], version: str, namespace: str | None = None) -> None:
        """Take a list at `version`: remove objects that were deleted while no watch ran.

        Objects of other namespaces, and those created after the list, stay.
        """
        listed = {item["metadata"]["uid"] for item in items}
        for old in list(self._objects.values()):
            meta = old["metadata"]
            is_elsewhere = namespace is not None and meta.get("namespace") != namespace
            if meta["uid"] in listed or is_elsewhere or _version(meta) > int(version):
                continue
            self.remove(old)
        for item in items:
            self.put(item)

    def _unindex(self, key: Key, object_name: tuple[str, str]) -> None:
        object_names = self._by_model.get(key)
        if object_names is not None:
            object_names.discard(object_name)
            if not object_names:
                del self._by_model[key]

    def _notify(self, key: Key) -> None:
        if self._on_change is not None:
            self._on_change(key)


def model_key_of(item: Json) -> Key | None:
    """Return the model that an object's label names."""
    meta = item["metadata"]
    model = (meta.get("labels") or {}).get(names.LABEL_MODEL)
    return Key(meta.get("namespace", ""), model) if model else None


def own_key(item: Json) -> Key:
    """Return the key of an MLModel itself."""
    return Key(item["metadata"].get("namespace", ""), item["metadata"]["name"])


def trimmed(item: Json) -> Json:
    """Return the object without managedFields; the managers' names stay, to show foreign ones."""
    meta = item["metadata"]
    fields = meta.pop("managedFields", None)
    if fields:
        meta["managers"] = sorted({entry.get("manager", "") for entry in fields})
        replica_managers = [entry.get("manager", "") for entry in fields if _sets_replicas(entry)]
        if replica_managers:
            meta["replicasManager"] = replica_managers[-1]
    return item


def _sets_replicas(entry: Json) -> bool:
    """Return whether this manager owns `spec.replicas` (an autoscaler, or a person)."""
    return "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})


def _is_newer(new: Json, old: Json) -> bool:
    """Compare resource versions of one object as integers (KEP-5504)."""
    return new["uid"] != old["uid"] or _version(new) > _version(old)


def _version(meta: Json) -> int:
    return int(meta["resourceVersion"])
