"""Objects of one kind in memory, with an index by model.

Filled by a reflector and by the answers to our own writes (so that a turn never sleeps to see
what it wrote). An older state never overwrites a newer one.
"""

from collections.abc import Callable, Iterable
from typing import Any

from modelfleet.api import names
from modelfleet.facts.identity import Key

Json = dict[str, Any]
_REMEMBERED_GONE = 2000


class Store:
    """One kind. `on_change` is called with the key of the model that an object belongs to."""

    def __init__(
        self,
        on_change: Callable[[Key], None] | None = None,
        key_of: Callable[[Json], Key | None] | None = None,
        reads: Callable[[Json], object] | None = None,
    ) -> None:
        """`key_of` gives the model of an object; by default from its label.

        `reads` gives all that a turn reads of an object: a change that leaves it equal is kept,
        and nobody is told.
        """
        self._objects: dict[tuple[str, str], Json] = {}
        self._by_model: dict[Key, set[tuple[str, str]]] = {}
        self._gone: dict[str, int] = {}
        self._on_change = on_change
        self._key_of = key_of or model_key_of
        self._reads = reads

    def __len__(self) -> int:
        """Number of objects."""
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Json | None:
        """The object, or None."""
        return self._objects.get((namespace, name))

    def all(self) -> Iterable[Json]:
        """All objects, in no order."""
        return self._objects.values()

    def of_model(self, key: Key) -> list[Json]:
        """Objects of a model, sorted by name."""
        return [self._objects[place] for place in sorted(self._by_model.get(key, ()))]

    def put(self, item: Json) -> None:
        """Keep the newest state of an object; one that is known to be deleted stays deleted."""
        key = self._take(item)
        if key is not None:
            self._tell(key)

    def keep(self, item: Json) -> None:
        """The answer to our own write: nobody is told, the turn that wrote looks again itself."""
        self._take(item)

    def _take(self, item: Json) -> Key | None:
        """Store what is new; returns the model that has to know."""
        meta = item["metadata"]
        if _version(meta) < self._gone.get(meta["uid"], 0):
            return None
        place = (meta.get("namespace", ""), meta["name"])
        old = self._objects.get(place)
        if old is not None and not _is_newer(meta, old["metadata"]):
            return None
        self._objects[place] = trimmed(item)
        key = self._key_of(item)
        if key is None:
            return None
        self._by_model.setdefault(key, set()).add(place)
        return None if old is not None and self._reads_same(old, item) else key

    def _reads_same(self, old: Json, new: Json) -> bool:
        if self._reads is None or old["metadata"]["uid"] != new["metadata"]["uid"]:
            return False
        return self._reads(old) == self._reads(new)

    def remove(self, item: Json) -> None:
        """Forget a deleted object, unless another one has taken its name since."""
        meta = item["metadata"]
        # An object that only left the watch's selector comes back with this very version.
        self._gone[meta["uid"]] = _version(meta)
        if len(self._gone) > _REMEMBERED_GONE:
            del self._gone[next(iter(self._gone))]
        place = (meta.get("namespace", ""), meta["name"])
        old = self._objects.get(place)
        if old is None or old["metadata"]["uid"] != meta["uid"]:
            return
        del self._objects[place]
        key = self._key_of(old)
        if key is not None:
            self._unindex(key, place)
            self._tell(key)

    def replace(self, items: list[Json], version: str, namespace: str | None = None) -> None:
        """After a list at `version`: what is not in it was deleted while nobody watched.

        Objects of other namespaces, and those made after the list was taken, are left alone.
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

    def _unindex(self, key: Key, place: tuple[str, str]) -> None:
        places = self._by_model.get(key)
        if places is not None:
            places.discard(place)
            if not places:
                del self._by_model[key]

    def _tell(self, key: Key) -> None:
        if self._on_change is not None:
            self._on_change(key)


def model_key_of(item: Json) -> Key | None:
    """The model that an object's label names."""
    meta = item["metadata"]
    model = (meta.get("labels") or {}).get(names.LABEL_MODEL)
    return Key(meta.get("namespace", ""), model) if model else None


def own_key(item: Json) -> Key:
    """The key of an MLModel itself."""
    return Key(item["metadata"].get("namespace", ""), item["metadata"]["name"])


def trimmed(item: Json) -> Json:
    """Without the bulk of managedFields; the managers' names stay, to name a foreign editor."""
    meta = item["metadata"]
    fields = meta.pop("managedFields", None)
    if fields:
        meta["managers"] = sorted({entry.get("manager", "") for entry in fields})
        sizers = [entry.get("manager", "") for entry in fields if _sets_replicas(entry)]
        if sizers:
            meta["replicasManager"] = sizers[-1]
    return item


def _sets_replicas(entry: Json) -> bool:
    """Whether this manager owns `spec.replicas` (an autoscaler, or a person)."""
    return "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})


def _is_newer(new: Json, old: Json) -> bool:
    """Resource versions of one object are compared as integers (KEP-5504)."""
    return new["uid"] != old["uid"] or _version(new) > _version(old)


def _version(meta: Json) -> int:
    return int(meta["resourceVersion"])
