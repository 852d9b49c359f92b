"""What of a spec shapes a version, and its hashes.

Called by `model.wanted_version`. The algorithm's version stands in the hash: fields equal to their
default are left out, so a new field with a default never changes an old hash.
"""

import hashlib
import json
from typing import Any

from modelfleet.api.mlmodel import MLModelSpec

ALGORITHM = "s1"


def shape_fields(spec: MLModelSpec) -> dict[str, Any]:
    """The version-shaping fields that differ from their default; never scaling or objective."""
    chosen = {
        "model": spec.model,
        "runtime": spec.runtime,
        "placement": spec.placement,
        "resources": spec.resources,
        "quality": spec.quality,
    }
    fields = {
        name: part.model_dump(by_alias=True, exclude_defaults=True, exclude_none=True)
        for name, part in chosen.items()
    }
    return {name: value for name, value in fields.items() if value}


def source_hash(spec: MLModelSpec) -> str:
    """Hash of the shaping fields as the user wrote them, before any digest is resolved."""
    return _hash(shape_fields(spec))


def shape_hash(spec: MLModelSpec, digest: str | None) -> str:
    """Hash of the shaping fields with the artifact's digest."""
    return _hash({**shape_fields(spec), "digest": digest})


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"{ALGORITHM}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
