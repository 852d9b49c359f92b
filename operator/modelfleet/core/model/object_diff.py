"""The first field in which a live object differs from the wanted one, by value and not by spelling.

`model.wanted_objects` repairs it. Only wanted fields count: fields that the API server or other
clients add are ignored. Exceptions: an addition to a list changes pods, and an addition to the
selector of a Service takes its endpoints away, so both count.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelfleet.api.base import exact_amount

_CLOSED_PATHS = {"Service": (".spec.selector",)}
"""Maps by kind in which an addition counts."""
_IGNORED_PATHS = (".apiVersion", ".kind", ".spec.replicas", ".metadata.ownerReferences")
_FALSE_IF_ABSENT = (".spec.paused",)
_QUANTITY = re.compile(r"\.resources\.(requests|limits)\.[^.]+$|\.sizeLimit$|\.divisor$")
_EMPTY: tuple[Any, ...] = (None, "", {}, [])
"""The API server leaves such values out."""


def edition(live: Mapping[str, Any]) -> str:
    """Return a text that changes with the content of an object, and not with its status."""
    meta = live["metadata"]
    return str(meta.get("generation") or meta.get("resourceVersion", ""))


def first_difference(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> str | None:
    """Return the path of the first wanted field that `live` lacks or has otherwise, or None.

    Worked example: {'a': 1} against {'a': 1, 'b': 2} is None; {'a': [1]} against {'a': [1, 2]} is
    '.a'; memory of '1024Mi' against '1Gi' is None.
    """
    difference = _difference(wanted, live, "")
    return difference or _addition(wanted, live)


def _difference(wanted: Any, live: Any, path: str) -> str | None:
    if path in _IGNORED_PATHS:
        return None
    if isinstance(wanted, Mapping):
        return _in_mapping(wanted, live, path)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return _in_sequence(wanted, live, path)
    if wanted == live or (wanted in _EMPTY and live in _EMPTY):
        return None
    if path in _FALSE_IF_ABSENT and not wanted and not live:
        return None
    return None if _is_same_amount(wanted, live, path) else path


def _in_mapping(wanted: Mapping[str, Any], live: Any, path: str) -> str | None:
    if not isinstance(live, Mapping):
        return path if wanted or live is not None else None
    for key in sorted(wanted):
        difference = _difference(wanted[key], live.get(key), f"{path}.{key}")
        if difference is not None:
            return difference
    return None


def _in_sequence(wanted: Sequence[Any], live: Any, path: str) -> str | None:
    if not wanted and live in _EMPTY:
        return None
    if not isinstance(live, Sequence) or isinstance(live, str) or len(live) != len(wanted):
        return path
    for index, item in enumerate(wanted):
        difference = _difference(item, live[index], f"{path}[{index}]")
        if difference is not None:
            return difference
    return None


def _is_same_amount(wanted: Any, live: Any, path: str) -> bool:
    if not _QUANTITY.search(path) or wanted is None or live is None:
        return False
    try:
        return exact_amount(wanted) == exact_amount(live)
    except ValueError:
        return False


def _addition(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> str | None:
    for path in _CLOSED_PATHS.get(wanted.get("kind", ""), ()):
        ours: Any = wanted
        theirs: Any = live
        for key in path.split(".")[1:]:
            ours, theirs = ours.get(key) or {}, theirs.get(key) or {}
        extra = set(theirs) - set(ours)
        if extra:
            return f"{path}.{min(extra)}"
    return None
