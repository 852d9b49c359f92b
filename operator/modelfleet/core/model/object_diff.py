"""Where a live object differs from what we want of it.

Called by `model.wanted_objects`. Only wanted fields count: what the API server or others add is
left alone, except in lists and in the annotations of a pod template, where an addition changes
pods.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_CLOSED_PATHS = (".spec.template.metadata.annotations",)
_IGNORED_PATHS = (".apiVersion", ".kind", ".spec.replicas", ".metadata.ownerReferences")


def first_difference(wanted: Any, live: Any, path: str = "") -> str | None:
    """Path of the first wanted field that `live` does not have so, or None.

    Worked example: {'a': 1} against {'a': 1, 'b': 2} is None; {'a': [1]} against
    {'a': [1, 2]} is '.a'.
    """
    if path in _IGNORED_PATHS:
        return None
    if isinstance(wanted, Mapping):
        return _in_mapping(wanted, live, path)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(live, Sequence) or isinstance(live, str) or len(live) != len(wanted):
            return path
        for index, item in enumerate(wanted):
            found = first_difference(item, live[index], f"{path}[{index}]")
            if found is not None:
                return found
        return None
    return None if wanted == live else path


def _in_mapping(wanted: Mapping[str, Any], live: Any, path: str) -> str | None:
    if not isinstance(live, Mapping):
        # An empty wanted object may be left out by the server.
        return path if wanted or live is not None else None
    for key in sorted(wanted):
        below = f"{path}.{key}"
        if key not in live and wanted[key] in ({}, []):
            continue
        found = first_difference(wanted[key], live.get(key), below)
        if found is not None:
            return found
    for closed in _CLOSED_PATHS:
        parent, _, last = closed.rpartition(".")
        if path == parent:
            extra = set(live.get(last) or {}) - set(wanted.get(last) or {})
            if extra:
                return f"{closed}[{min(extra)}]"
    return None
