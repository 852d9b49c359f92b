"""The CRDs as their readers judge them: structural, bounded, described, conventional, current."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from modelfleet.api.mlmodel import MLModel, MLModelSpec
from modelfleet.cli.verbs.crds import yaml_lines
from modelfleet.crds.structural import UnsupportedSchemaError, crds, structural

ROOT = Path(__file__).parents[2]
CRDS = {crd["metadata"]["name"]: crd for crd in crds()}
MAX_BYTES = 64 * 1024


def version_of(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]


def schema_of(crd: dict[str, Any]) -> dict[str, Any]:
    return version_of(crd)["schema"]["openAPIV3Schema"]


def fields(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All fields below spec and status, with items and values of maps."""
    for name, child in node.get("properties", {}).items():
        below = f"{path}.{name}"
        if below in {".metadata", ".apiVersion", ".kind"}:
            continue
        yield below, child
        for part in ("items", "additionalProperties"):
            if part in child:
                yield f"{below}[]", {**child[part], "x-is-item": True}
                yield from fields(child[part], f"{below}[]")
        yield from fields(child, below)


ALL_FIELDS = [
    pytest.param(field, id=f"{name.split('.')[0]}{path}")
    for name, crd in CRDS.items()
    for path, field in fields(schema_of(crd))
]


@pytest.mark.parametrize("field", ALL_FIELDS)
def test_field_is_described_and_bounded(field):
    is_item = field.pop("x-is-item", False)
    assert is_item or field.get("description"), "a description for people"
    kind = field.get("type")
    if field.get("x-kubernetes-int-or-string"):
        assert field["maxLength"]
    elif field.get("x-kubernetes-preserve-unknown-fields") and kind is None:
        assert {"maxLength", "minimum", "not"} <= set(field), "bounded for each type of JSON"
        assert field["minItems"] > field["maxItems"], "no list"
        assert field["minProperties"] > field["maxProperties"], "no object"
    elif kind == "string":
        assert "maxLength" in field or "enum" in field
    elif kind == "array":
        assert "maxItems" in field
        assert field["x-kubernetes-list-type"] in {"atomic", "map", "set"}
    elif kind == "integer":
        assert "minimum" in field
        assert field["format"] in {"int32", "int64"}
    elif kind == "object" and "additionalProperties" in field:
        assert "maxProperties" in field
    else:
        assert kind in {"object", "boolean"}, "no floats"
    assert "phase" not in field


@pytest.mark.parametrize("name", CRDS)
def test_conventions(name):
    crd = CRDS[name]
    schema, version = schema_of(crd), version_of(crd)
    status = schema["properties"]["status"]
    assert version["subresources"]["status"] == {}
    assert status["default"] == {"observedGeneration": -1}
    assert status["properties"]["observedGeneration"]["default"] == -1
    conditions = status["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert version["additionalPrinterColumns"]
    assert crd["spec"]["names"]["shortNames"]
    assert crd["spec"]["names"]["categories"] == ["modelfleet"]
    assert "phase" not in status["properties"]
    assert "x-kubernetes-validations" in json.dumps(schema)
    assert len(json.dumps(crd, separators=(",", ":")).encode()) <= MAX_BYTES


@pytest.mark.parametrize("name", CRDS)
def test_committed_file_is_what_the_types_say(name):
    assert yaml.safe_load((ROOT / "crds" / f"{name}.yaml").read_text()) == CRDS[name]


@pytest.mark.parametrize("name", CRDS)
def test_schema_is_structural(name):
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title"} & set(node)
            assert not ("properties" in node and "additionalProperties" in node)
            for child in node.values():
                walk(child)

    walk(
        {
            key: value
            for key, value in schema_of(CRDS[name])["properties"].items()
            if key in {"spec", "status"}
        }
    )


def test_every_rule_has_a_message_that_says_what_must_be():
    for crd in CRDS.values():
        for path, field in (*fields(schema_of(crd)), ("", schema_of(crd))):
            for rule in field.get("x-kubernetes-validations", []):
                assert "must" in rule["message"], f"{path}: {rule}"


def test_ten_lines_need_nothing_but_the_model():
    spec = MLModelSpec.model_validate({"model": {"uri": "https://models.example/d.onnx"}})
    assert (spec.scaling.min_replicas, spec.scaling.max_replicas) == (1, 10)
    assert spec.rollout.strategy == "Rolling"


@pytest.mark.parametrize("sample", sorted((ROOT / "manifests" / "samples").glob("*.yaml")))
def test_samples_are_valid(sample):
    for document in yaml.safe_load_all(sample.read_text()):
        MLModel.model_validate({"spec": document["spec"]})


def test_union_of_objects_is_refused():
    class A(BaseModel):
        x: int

    class B(BaseModel):
        either: A | str

    with pytest.raises(UnsupportedSchemaError, match=r"B\.either"):
        structural(B)


def test_recursion_is_refused():
    class Node(BaseModel):
        next: "Node | None" = None

    with pytest.raises(UnsupportedSchemaError, match="contains itself"):
        structural(Node)


def test_yaml_of_awkward_scalars_reads_back():
    value = {"a": "true", "b": "1", "c": "it's: # odd", "d": [], "e": [{"f": None}], "g": -1}
    assert yaml.safe_load("\n".join(yaml_lines(value))) == value
