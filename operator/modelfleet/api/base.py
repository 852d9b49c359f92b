"""Base of all API types: camelCase aliases, closed objects, bounded field types.

Must never hold a default that depends on anything but the field itself: the API server applies
these defaults, and old objects keep them.
"""

import re
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

INT32_MAX = 2**31 - 1


def validations(*rules: tuple[str, str]) -> dict[str, Any]:
    """Return CEL rules as `json_schema_extra`: pairs of a rule and a message with what to do."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": text} for rule, text in rules]}


def map_list(*keys: str) -> dict[str, Any]:
    """Mark a list as a map keyed by `keys`, so that server-side apply merges by them."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


ATOMIC = {"x-kubernetes-list-type": "atomic"}


class ApiObject(BaseModel):
    """Closed object of the API: an unknown field is an error here; the API server removes it."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


_QUANTITY_SCHEMA: dict[str, Any] = {
    "x-kubernetes-int-or-string": True,
    "pattern": r"^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?$",
    "maxLength": 20,
}
_FREE_QUANTITY_SCHEMA: dict[str, Any] = {
    # `x-kubernetes-int-or-string` refuses 0.5 without quotes, which a pod takes. So the field has
    # no type, and bounds that nothing but a number or such a text can keep.
    "x-kubernetes-preserve-unknown-fields": True,
    "pattern": _QUANTITY_SCHEMA["pattern"],
    "maxLength": _QUANTITY_SCHEMA["maxLength"],
    "minimum": 0,
    "not": {"enum": [True, False]},
    "minItems": 1,
    "maxItems": 0,
    "minProperties": 1,
    "maxProperties": 0,
}


def _no_boolean(quantity: object) -> object:
    if isinstance(quantity, bool):
        raise ValueError("must be a number such as 4, '0.5' or '500m'")  # noqa: TRY004 - pydantic
    return quantity


Quantity = Annotated[
    str | int | float, BeforeValidator(_no_boolean), WithJsonSchema(_FREE_QUANTITY_SCHEMA)
]
"""A Kubernetes resource quantity such as `500m`, `2`, `0.5` or `1Gi`."""

_SUFFIXES: dict[str, Fraction] = {
    "": Fraction(1),
    **{suffix: Fraction(1, 1000**power) for power, suffix in enumerate("mun", start=1)},
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(
    r"([0-9]+\.?[0-9]*|\.[0-9]+)(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)"
)


def exact_amount(quantity: str | float) -> Fraction:
    """Return the number that a Kubernetes quantity stands for; raises ValueError for other text.

    Worked example: `500m`, `0.5` and `5e-1` are one half; `1024Mi` and `1Gi` are equal.
    """
    parts = _QUANTITY.fullmatch(str(quantity).removeprefix("+"))
    if parts is None:
        raise ValueError("must be a number such as 4, '0.5' or '500m'")
    number, exponent, suffix = parts.groups()
    return Fraction(number + (exponent or "")) * _SUFFIXES[suffix or ""]


def quantity_text(quantity: str | float) -> str:
    """Return a quantity as a pod has it: a whole number without a decimal point.

    Worked example: 1e9 is `1000000000`, 0.5 is `0.5`, `1Gi` stays.
    """
    is_whole = isinstance(quantity, float) and quantity.is_integer()
    return str(int(quantity) if is_whole else quantity)


def amount(quantity: str | int) -> float:
    """Return `exact_amount` as a float.

    Worked example: `500m` is 0.5.
    """
    return float(exact_amount(quantity))


def _above_zero(quantity: str | int) -> str | int:
    if amount(quantity) <= 0:
        raise ValueError("must be above 0")
    return quantity


Target = Annotated[str | int, AfterValidator(_above_zero), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A quantity above 0."""

Cron = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=validations(
            (
                "self.matches('^[^ ]+( +[^ ]+){4}$')",
                "must be cron with five fields: minute, hour, day of month, month, day of week",
            )
        ),
    ),
]
"""Times at which something happens, to the minute; `scaling.schedules` parses them."""

DnsLabel = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
DnsName = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
LabelKey = Annotated[str, Field(min_length=1, max_length=316)]
LabelValue = Annotated[str, Field(max_length=63)]
ConfigKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


def _with_a_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("must be a time with its zone")
    return text


Timestamp = Annotated[
    str,
    Field(max_length=40, json_schema_extra={"format": "date-time"}),
    AfterValidator(_with_a_zone),
]
"""A time as text; one without a zone could not be compared."""


def named_in(catalogue: str) -> dict[str, Any]:
    """Mark of a field whose values are the names in a catalogue: the CRD lists them as its enum."""
    return {CATALOGUE_MARK: catalogue}


CATALOGUE_MARK = "x-modelfleet-catalogue"
CatalogueName = Annotated[str, Field(min_length=1, max_length=32)]
