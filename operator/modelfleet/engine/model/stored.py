"""Stored specs and statuses -> values, also of objects that another release wrote.

`model.observe` puts the values into the facts. Must never raise, and never lose a value that can be
read: what is lost of a decision would be decided again.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from modelfleet.api import tolerant
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.facts.route import Route

_SPARE_STATUS: Mapping[str, Any] = {
    # The revision must never go back, and the grant must not be lost, for want of another field.
    "route": {k: v for k, v in Route(1, ()).to_status().items() if k != "revision"},
    "scaling": {"want": 0, "ready": 0},
}
_SPARE_VERSION: Mapping[str, Any] = {
    "model": "unknown",
    "shape": "unknown-0000000000000000",
    "source": "unknown-0000000000000000",
    "runtime": "custom",
    "port": 8080,
    "protocol": "HTTP1",
    "startupSeconds": 600,
    "shutdownSeconds": 60,
    "template": {},
    "createdBy": "",
}
_BUILT_FROM = frozenset({"template", "port", "startupSeconds"})


def parse_spec(model: Mapping[str, Any]) -> tuple[MLModelSpec | None, str | None]:
    """Return the spec, or its first error (an older CRD may have accepted it)."""
    try:
        return tolerant.read(MLModelSpec, model.get("spec") or {}), None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return None, f"spec.{field}: {first['msg']}"


def parse_status(model: Mapping[str, Any]) -> MLModelStatus:
    """Return what can be read of the status; a foreign edit may have spoilt a field."""
    status = mapping(model.get("status"))
    read = tolerant.salvage(MLModelStatus, status, _SPARE_STATUS)
    # Available is False only until a version has served; otherwise it is True, or lost as well.
    is_available = {claim.type: claim.status for claim in read.conditions}.get("Available")
    if read.stable is None and is_available != "False":
        # Which version is stable has to be found out, as without a status.
        return read.model_copy(update={"observed_generation": -1})
    return read


def read_version_spec(item: Mapping[str, Any]) -> tuple[MLModelVersionSpec, bool]:
    """Return a version's spec, and whether its objects can be built from it.

    A newer release may know values that this one cannot read. The version goes on serving.
    """
    spec = mapping(item.get("spec"))
    if not isinstance(mapping(mapping(spec.get("template")).get("spec")).get("containers"), list):
        spec = {name: value for name, value in spec.items() if name != "template"}
    try:
        return tolerant.read(MLModelVersionSpec, spec), True
    except ValidationError as error:
        wrong = {str(part["loc"][0]) for part in error.errors() if part["loc"]}
    digits = item["metadata"]["name"].rpartition("-v")[2]
    spare = {**_SPARE_VERSION, "number": int(digits) if digits.isdecimal() else 1}
    return tolerant.salvage(MLModelVersionSpec, spec, spare), not wrong & _BUILT_FROM


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object of JSON; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}
