"""Reading of stored objects that another release of modelfleet may have written.

The API server keeps fields that this release does not know, for example after a downgrade. The
engine reads every stored spec and status here. Must never raise for an unknown field, and never
lose a field because another one cannot be read.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from modelfleet.api.base import ApiObject

T = TypeVar("T", bound=ApiObject)


def read(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return the object without its unknown fields; raises ValidationError for a wrong value."""
    return kind.model_validate(known_fields(kind, data))


def salvage(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return what can be read: a field of the first level with a wrong value is left out.

    Every field of `kind` must have a default.
    """
    fields = known_fields(kind, data)
    while True:
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            wrong = {str(part["loc"][0]) for part in error.errors() if part["loc"]}
            names = {name for name in fields if name in wrong or _python_name(kind, name) in wrong}
            fields = {name: value for name, value in fields.items() if name not in names}
            if not names:
                return kind()


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


def _python_name(kind: type[ApiObject], alias: str) -> str:
    names = (name for name, field in kind.model_fields.items() if (field.alias or name) == alias)
    return next(names, alias)
