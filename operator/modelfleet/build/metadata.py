"""Names, labels and owner of every object that modelfleet makes.

Called by the other builders. Must never depend on anything that changes during a model's life:
these values are compared on every turn.
"""

from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.facts.identity import Key


def labels(model: str, version: str | None = None) -> dict[str, str]:
    """Labels by which our objects are found again."""
    found = {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_MODEL: model}
    if version is not None:
        found[names.LABEL_VERSION] = version
    return found


def owner(api_kind: str, name: str, uid: str) -> dict[str, Any]:
    """Controlling owner reference; the garbage collector deletes the object with its owner."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": api_kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def owned_by_model(key: Key, uid: str, name: str, version: str | None = None) -> dict[str, Any]:
    """Metadata of an object that belongs to a model."""
    return {
        "name": name,
        "namespace": key.namespace,
        "labels": labels(key.name, version),
        "ownerReferences": [owner(names.MODEL_KIND, key.name, uid)],
    }


def is_owned(item: Mapping[str, Any], uid: str) -> bool:
    """Whether one of the object's owners has this uid; a name alone proves nothing."""
    owners = item["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)
