"""What a turn reads of an object, as a value: a change that leaves it equal needs no turn.

Used by `main` for the stores of children. Most changes of a Deployment or a pod are counters and
phases that decide nothing. Must hold everything that `model.observe` reads: what is missing here
is seen only when something else happens.
"""

from typing import Any

from modelfleet.api import names
from modelfleet.engine.model.observe import replica_failure, resolve_facts
from modelfleet.engine.model.pods import pod_facts
from modelfleet.engine.ports import Json

_CONTROLLERS_NOTES = "deployment.kubernetes.io/"
"""Annotations that the Deployment controller keeps for itself."""


def of_child(item: Json) -> tuple[Any, ...]:
    """Of a Deployment or Service: all that is compared with what we want, and why pods fail."""
    meta = item["metadata"]
    notes = {
        name: value
        for name, value in (meta.get("annotations") or {}).items()
        if not name.startswith(_CONTROLLERS_NOTES)
    }
    return (
        item.get("spec"),
        meta.get("labels"),
        notes,
        meta.get("ownerReferences"),
        meta.get("deletionTimestamp"),
        replica_failure(item),
    )


def of_pod(item: Json) -> tuple[Any, ...]:
    """Of a replica its facts, of a pod that determines a digest what it has found out."""
    meta = item["metadata"]
    labels = meta.get("labels") or {}
    if labels.get(names.LABEL_ROLE) == names.ROLE_RESOLVE:
        return (resolve_facts(item), labels, meta.get("deletionTimestamp"))
    return (pod_facts(item, 1, None), labels, meta.get("ownerReferences"))
