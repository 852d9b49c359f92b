"""Kubernetes CRDs from the pydantic types of `api`.

`modelfleet crds` (make generate) writes them to files; tests compare them. Must never name a single
field: an exception to a rule of Kubernetes belongs into the type's own annotation. Source of the
rules: apiextensions.k8s.io/v1 structural schemas (KEP-2335).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from modelfleet.api import mlmodel, mlmodelversion, names
from modelfleet.api.base import CATALOGUE_MARK
from modelfleet.crds.catalogues import PARTS

_DROPPED = (
    "title",
    "discriminator",
    "additionalProperties",
    "$defs",
    # Bounds of a map's keys: Kubernetes refuses them.
    "propertyNames",
    "patternProperties",
)


class UnsupportedSchemaError(TypeError):
    """Raised when a pydantic type has no structural schema; the message names its path."""


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema (OpenAPI v3.0) of a pydantic model; references are inlined."""
    root = model.model_json_schema(by_alias=True)
    return _walk(root, root.get("$defs", {}), model.__name__, ())


def _walk(
    node: Mapping[str, Any], defs: Mapping[str, Any], path: str, seen: tuple[str, ...]
) -> dict[str, Any]:
    node, seen = _inlined(node, defs, path, seen)
    if node.get("x-kubernetes-int-or-string"):
        keys = ("x-kubernetes-int-or-string", "pattern", "maxLength", "description")
        return {key: node[key] for key in keys if key in node}
    if node.get("x-kubernetes-preserve-unknown-fields") and "type" not in node:
        # A value without a type: pydantic's default and title belong to no schema.
        return {key: value for key, value in node.items() if key not in {"title", "default"}}
    if "prefixItems" in node or "oneOf" in node or "allOf" in node:
        msg = f"{path}: tuples and unions have no structural schema; use optional members and CEL"
        raise UnsupportedSchemaError(msg)
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    catalogue = result.pop(CATALOGUE_MARK, None)
    if catalogue is not None:
        part = PARTS[catalogue]()
        result |= part
        if "enum" in part:
            # The enum is the narrower bound.
            result.pop("minLength", None)
            result.pop("maxLength", None)
    _convert_bounds(result)
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if "default" in result:
        _settle_default(result)
    return result | _walked_children(node, defs, path, seen)


def _inlined(
    node: Mapping[str, Any], defs: Mapping[str, Any], path: str, seen: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Replace `$ref` and `T | None` by T; keys beside a reference override those of T."""
    merged = dict(node)
    while "$ref" in merged or "anyOf" in merged:
        if "anyOf" in merged:
            branches = [b for b in merged.pop("anyOf") if b.get("type") != "null"]
            if len(branches) != 1:
                msg = f"{path}: a union of {len(branches)} types has no structural schema"
                raise UnsupportedSchemaError(msg)
            merged = {**branches[0], **merged}
            continue
        name = merged.pop("$ref").rsplit("/", 1)[-1]
        if name in seen:
            msg = f"{path}: {name} contains itself, which has no structural schema"
            raise UnsupportedSchemaError(msg)
        seen = (*seen, name)
        merged = {**defs[name], **merged}
    return merged, seen


def _settle_default(result: dict[str, Any]) -> None:
    """Drop null defaults; a parent's default is `{}`, so that the children's defaults apply.

    A parent with rules gets the whole default: the API server checks rules on a default before it
    fills in those of the children.
    """
    if result["default"] is None or result["default"] == []:
        del result["default"]
    elif isinstance(result["default"], dict):
        has_rules = "x-kubernetes-validations" in result
        result["default"] = _without_null(result["default"]) if has_rules else {}


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_null(item) if isinstance(item, dict) else item
        for key, item in value.items()
        if item is not None
    }


def _convert_bounds(result: dict[str, Any]) -> None:
    """Write exclusive bounds of numbers as Kubernetes does: a boolean beside the bound."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in result:
            result[bound] = result[exclusive]
            result[exclusive] = True
    if result.get("type") == "integer" and "format" not in result:
        result["format"] = "int32"


def _walked_children(
    node: Mapping[str, Any], defs: Mapping[str, Any], path: str, seen: tuple[str, ...]
) -> dict[str, Any]:
    """Return the schemas of fields, of list items and of map values."""
    children: dict[str, Any] = {}
    if "properties" in node:
        children["properties"] = {
            key: _walk(child, defs, f"{path}.{key}", seen)
            for key, child in node["properties"].items()
        }
    if "items" in node:
        children["items"] = _walk(node["items"], defs, f"{path}[]", seen)
    extra = node.get("additionalProperties")
    if isinstance(extra, Mapping):
        children["additionalProperties"] = _walk(extra, defs, f"{path}{{}}", seen)
    return children


def _crd(
    model: type[BaseModel],
    kind: str,
    plural: str,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    schema = structural(model)
    schema["properties"]["apiVersion"] = {
        "type": "string",
        "description": "Version of the API that this object is written in.",
        "maxLength": 316,
    }
    schema["properties"]["kind"] = {
        "type": "string",
        "description": "Kind of the object.",
        "maxLength": 63,
    }
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"]["status"]["default"] = {"observedGeneration": -1}
    if details["rules"]:
        schema["x-kubernetes-validations"] = [
            {"rule": rule, "message": text} for rule, text in details["rules"]
        ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{names.GROUP}",
            "labels": {"app.kubernetes.io/part-of": names.MANAGED_BY},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(details["short_names"]),
                "categories": [names.MANAGED_BY],
            },
            "versions": [
                {
                    "name": names.API_VERSION.rsplit("/", 1)[-1],
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": details["subresources"],
                    "additionalPrinterColumns": list(details["columns"]),
                }
            ],
        },
    }


def crds() -> tuple[dict[str, Any], ...]:
    """Return all CRDs of modelfleet, in the order in which they are installed."""
    return (
        _crd(
            mlmodel.MLModel,
            names.MODEL_KIND,
            names.MODEL_PLURAL,
            {
                "rules": mlmodel.NAME_RULES,
                "short_names": ("mfm",),
                "columns": mlmodel.COLUMNS,
                "subresources": {"status": {}, "scale": mlmodel.SCALE},
            },
        ),
        _crd(
            mlmodelversion.MLModelVersion,
            names.VERSION_KIND,
            names.VERSION_PLURAL,
            {
                "rules": (),
                "short_names": ("mfv",),
                "columns": mlmodelversion.COLUMNS,
                "subresources": {"status": {}},
            },
        ),
    )
