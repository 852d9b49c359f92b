"""Reading of stored objects that another release of modelfleet may have written.

The API server keeps fields that this release does not know, for example after a downgrade. The
engine reads every stored spec and status here. Must never raise for an unknown field, and never
lose a field because another one cannot be read.
"""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from modelfleet.api.base import ApiObject

T = TypeVar("T", bound=ApiObject)
_NOTHING: Any = object()
_KEYS = "x-kubernetes-list-map-keys"


def read(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return the object without its unknown fields; raises ValidationError for a wrong value."""
    return kind.model_validate(known_fields(kind, data))


def salvage(kind: type[T], data: Mapping[str, Any], spare: Mapping[str, Any] | None = None) -> T:
    """Return what can be read: a value that is wrong, at any level, is left out.

    With it goes the object that needs it: an item of a list, a section. `spare` has, in the form of
    the object, values for needed fields that cannot be read. Every field of `kind` itself must have
    a default or a spare. No value is taken for another: `true` is no number.

    Worked example: of {'want': 3, 'granted': 'x'} in the scaling section nothing is left, but of
    {'want': 3, 'granted': 3, 'why': [1, 'a']} only the 1 is left out.
    """
    fields = known_fields(kind, data)
    try:
        return kind.model_validate(fields, strict=True)
    except ValidationError:
        fields, spares = copy.deepcopy(fields), copy.deepcopy(dict(spare or {}))
    while True:
        try:
            return kind.model_validate(fields, strict=True)
        except ValidationError as error:
            loc = error.errors()[0]["loc"]
            if not _take_spare(fields, spares, loc) and not _leave_out(fields, loc):
                return kind.model_validate(dict(spare or {}))


def _take_spare(fields: dict[str, Any], spares: dict[str, Any], loc: tuple[int | str, ...]) -> bool:
    """Put the spare value, which is used once, at a place that lacks one."""
    place: Any = fields
    for part in loc[:-1]:
        spares, place = spares.get(str(part)) or {}, _below(place, part)
    name = str(loc[-1]) if loc else ""
    if not isinstance(place, dict) or name in place or name not in spares:
        return False
    place[name] = spares.pop(name)
    return True


def _leave_out(fields: dict[str, Any], loc: tuple[int | str, ...]) -> bool:
    """Remove the deepest value on the way to a fault; return whether there was one."""
    holder: Any = None
    key: int | str = ""
    place: Any = fields
    for part in loc:
        below = _below(place, part)
        if below is _NOTHING:
            break
        holder, key, place = place, part, below
    if holder is None:
        return False
    del holder[key]
    return True


def _below(place: Any, part: int | str) -> Any:
    is_there = part in place if isinstance(place, dict) else False
    if isinstance(place, list) and isinstance(part, int):
        is_there = part < len(place)
    return place[part] if is_there else _NOTHING


def with_unknown(kind: type[ApiObject], stored: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body to write, with all fields of the stored object that `kind` does not know.

    A newer release wrote them, and reads them again after the next upgrade. Items of a list belong
    together if their keys are equal; an item that is not in the body is gone.
    """
    result = dict(body)
    if not isinstance(stored, Mapping):
        return result
    fields = {field.alias or name: field for name, field in kind.model_fields.items()}
    result |= {name: value for name, value in stored.items() if name not in fields}
    for name, field in fields.items():
        inner = _object_in(field.annotation)
        if inner is None or name not in body:
            continue
        before, value = stored.get(name), body[name]
        if isinstance(value, Mapping):
            result[name] = with_unknown(inner, before, value)
        elif isinstance(value, list) and isinstance(before, list):
            extra = field.json_schema_extra
            keys = extra.get(_KEYS, []) if isinstance(extra, dict) else []
            result[name] = [_with_same(inner, before, item, keys) for item in value]
    return result


def _with_same(
    kind: type[ApiObject], stored: list[Any], item: Mapping[str, Any], keys: Any
) -> dict[str, Any]:
    """Return an item with the unknown fields of the stored item that has the same keys."""
    same = (
        before
        for before in stored
        if isinstance(before, Mapping) and all(before.get(key) == item.get(key) for key in keys)
    )
    return with_unknown(kind, next(same, None) if keys else None, item)


def known_fields(kind: type[ApiObject], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that `kind` knows, at every level.

    Worked example: of {'minReplicas': 1, 'newer': 2} the scaling section keeps {'minReplicas': 1}.
    """
    known: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        alias = field.alias or name
        if alias in data:
            known[alias] = _known_value(field.annotation, data[alias])
    return known


def _known_value(annotation: Any, value: Any) -> Any:
    inner = _object_in(annotation)
    if inner is None:
        return value
    if isinstance(value, Mapping):
        return known_fields(inner, value)
    if isinstance(value, list):
        return [known_fields(inner, v) if isinstance(v, Mapping) else v for v in value]
    return value


def _object_in(annotation: Any) -> type[ApiObject] | None:
    """Return the object type in an annotation such as `list[Condition] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, ApiObject):
        return annotation
    for part in get_args(annotation):
        inner = _object_in(part)
        if inner is not None:
            return inner
    return None
