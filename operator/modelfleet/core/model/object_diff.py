"""The first field in which a live object differs from the wanted one.

`model.wanted_objects` repairs it. Only wanted fields count: fields that the API server or other
clients add are ignored. Two exceptions: an addition to a list or to the annotations of a pod
template changes pods, so it counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_CLOSED_PATHS = (".spec.template.metadata.annotations",)
_IGNORED_PATHS = (".apiVersion", ".kind", ".spec.replicas", ".metadata.ownerReferences")


def first_difference(wanted: Any, live: Any, path: str = "") -> str | None:
    """Return the path of the first wanted field that `live` lacks or has otherwise, or None.

    Worked example: {'a': 1} against {'a': 1, 'b': 2} is None; {'a': [1]} against {'a': [1, 2]} is
    '.a'.
    """
    if path in _IGNORED_PATHS:
        return None
    if isinstance(wanted, Mapping):
        return _in_mapping(wanted, live, path)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(live, Sequence) or isinstance(live, str) or len(live) != len(wanted):
            return path
        for index, item in enumerate(wanted):
            difference = first_difference(item, live[index], f"{path}[{index}]")
            if difference is not None:
                return difference
        return None
    return None if wanted == live else path


def _in_mapping(wanted: Mapping[str, Any], live: Any, path: str) -> str | None:
    if not isinstance(live, Mapping):
        # The API server may leave out an empty object.
        return path if wanted or live is not None else None
    for key in sorted(wanted):
        field_path = f"{path}.{key}"
        if key not in live and wanted[key] in ({}, []):
            continue
        difference = first_difference(wanted[key], live.get(key), field_path)
        if difference is not None:
            return difference
    for closed in _CLOSED_PATHS:
        parent, _, last = closed.rpartition(".")
        if path == parent:
            extra = set(live.get(last) or {}) - set(wanted.get(last) or {})
            if extra:
                return f"{closed}[{min(extra)}]"
    return None
