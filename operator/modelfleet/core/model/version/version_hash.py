"""Hashes of the spec fields that shape a version.

`version.wanted_version` compares them with those of existing versions. The hash starts with the
algorithm's version. Fields equal to their default are left out, so a new field with a default never
changes an old hash.
"""

import hashlib
import json
from typing import Any

from modelfleet.api.mlmodel import MLModelSpec

ALGORITHM = "s1"


def shape_fields(spec: MLModelSpec) -> dict[str, Any]:
    """Return the version-shaping fields that differ from their default.

    Scaling and objective are never among them.
    """
    parts = {
        "model": spec.model,
        "runtime": spec.runtime,
        "placement": spec.placement,
        "resources": spec.resources,
        "quality": spec.quality,
    }
    fields = {
        name: part.model_dump(by_alias=True, exclude_defaults=True, exclude_none=True)
        for name, part in parts.items()
    }
    return {name: value for name, value in fields.items() if value}


def source_hash(spec: MLModelSpec) -> str:
    """Return the hash of the shaping fields as the user wrote them, before a digest is resolved."""
    return _hash(shape_fields(spec))


def shape_hash(spec: MLModelSpec, digest: str | None) -> str:
    """Return the hash of the shaping fields with the artifact's digest."""
    return _hash({**shape_fields(spec), "digest": digest})


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"{ALGORITHM}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
