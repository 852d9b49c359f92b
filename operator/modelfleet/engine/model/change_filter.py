"""Filter of object changes: the part of an object that a turn reads, as a value.

A change that leaves this value equal needs no turn. Most changes of a Deployment or a pod are
counters and phases that decide nothing. `compose.caches` gives these functions to the stores of
children. Must contain everything that `model.observe` reads: a field that is missing here does not
trigger a turn when it changes.
"""

from typing import Any

from modelfleet.api import names
from modelfleet.engine.model.observe import replica_failure, resolve_facts
from modelfleet.engine.model.pods import pod_facts
from modelfleet.engine.ports import Json

_CONTROLLERS_NOTES = "deployment.kubernetes.io/"
"""Prefix of the annotations that only the Deployment controller uses."""


def of_child(item: Json) -> tuple[Any, ...]:
    """Return all of a Deployment or Service that the plan compares, and why its pods fail."""
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
    """Return the facts of a replica, or the result of a pod that determines a digest."""
    meta = item["metadata"]
    labels = meta.get("labels") or {}
    if labels.get(names.LABEL_ROLE) == names.ROLE_RESOLVE:
        return (resolve_facts(item), labels, meta.get("deletionTimestamp"))
    return (pod_facts(item, 1, None), labels, meta.get("ownerReferences"))
