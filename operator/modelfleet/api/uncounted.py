"""Requests that do not count: health checks and bots that must not keep a model awake.

`MLModel.spec.traffic` and the route in the status have lists of them. The reference page says what
the gateways do with such a request.
"""

from typing import Annotated

from pydantic import Field

from modelfleet.api.base import ATOMIC, ApiObject, validations

MAX_UNCOUNTED = 16
HeaderValue = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]+$")]
RequestPath = Annotated[str, Field(max_length=256, pattern=r"^/[^?#\s]*$")]


class UncountedHeader(ApiObject):
    """A header that an uncounted request has."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    """Name of the header, in any case."""
    value: HeaderValue | None = None
    """The whole value."""
    value_prefix: HeaderValue | None = None
    """Beginning of the value, such as `kube-probe/`."""


HEADER_RULE = (
    "has(self.value) != has(self.valuePrefix)",
    "header must have exactly one of value, valuePrefix",
)
MATCH_RULES = (
    (
        "has(self.path) || has(self.pathPrefix) || has(self.method) || has(self.header)",
        "an entry must have at least one of path, pathPrefix, method, header",
    ),
    (
        "!has(self.path) || !has(self.pathPrefix)",
        "an entry must not have both path and pathPrefix",
    ),
)


class UncountedRequests(ApiObject):
    """Requests that have everything that is set here."""

    path: RequestPath | None = None
    """The whole path, without a query."""
    path_prefix: RequestPath | None = None
    """Beginning of the path."""
    method: Annotated[str, Field(max_length=16, pattern=r"^[A-Z]+$")] | None = None
    """Method in capitals, such as `HEAD`."""
    header: Annotated[UncountedHeader, Field(json_schema_extra=validations(HEADER_RULE))] | None = (
        None
    )
    """A header, such as `User-Agent`."""


UncountedList = Annotated[
    list[Annotated[UncountedRequests, Field(json_schema_extra=validations(*MATCH_RULES))]],
    Field(max_length=MAX_UNCOUNTED, json_schema_extra=ATOMIC),
]
