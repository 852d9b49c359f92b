"""Names, labels and owner of every object that modelfleet creates.

The other builders put them into their manifests. Must never depend on anything that changes during
a model's life: every turn compares these values.
"""

from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.facts.identity import Key


def labels(model: str, version: str | None = None) -> dict[str, str]:
    """Return the labels by which modelfleet finds its objects again."""
    object_labels = {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_MODEL: model}
    if version is not None:
        object_labels[names.LABEL_VERSION] = version
    return object_labels


def owner(api_kind: str, name: str, uid: str) -> dict[str, Any]:
    """Return a controlling owner reference; Kubernetes deletes the object with its owner."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": api_kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def owned_by_model(key: Key, uid: str, name: str, version: str | None = None) -> dict[str, Any]:
    """Return the metadata of an object that belongs to a model."""
    return {
        "name": name,
        "namespace": key.namespace,
        "labels": labels(key.name, version),
        "ownerReferences": [owner(names.MODEL_KIND, key.name, uid)],
    }


def is_owned(item: Mapping[str, Any], uid: str) -> bool:
    """Return whether one of the object's owners has this uid; an equal name is no proof."""
    owners = item["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)
