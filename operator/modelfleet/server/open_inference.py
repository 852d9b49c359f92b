"""Open Inference Protocol v2 over HTTP: body of a request -> arrays, arrays -> answer. Pure.

`server.app` uses it. Must never raise anything but RequestError for the bytes of a client. Sources:
the protocol's REST specification, and its extension "Binary Tensor Data".
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from modelfleet.server.base import Array, RequestError, TensorSpec
from modelfleet.server.datatypes import (
    DATATYPES,
    from_binary,
    from_json,
    shown,
    to_binary,
    to_json,
)

BINARY_HEADER = "Inference-Header-Content-Length"
"""HTTP header with the length of the JSON, in bytes; the rest of the body is binary data."""
MAX_DIMENSIONS = 32
MAX_ELEMENTS = 2**40
"""Product of all dimensions except those of length 0."""
_MAX_DIGITS = 18
_MIN_NESTED = 2
_UNSUPPORTED = ("classification", "shared_memory_region")
"""Parameters of an output that would change the answer."""


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """One output that the answer holds."""

    spec: TensorSpec
    is_binary: bool


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A valid request: its identifier, the arrays by input name and the wanted outputs in order."""

    id: str | None
    inputs: Mapping[str, Array]
    outputs: tuple[WantedOutput, ...]


def read_request(
    raw: bytes | bytearray,
    json_length: str | None,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> InferenceRequest:
    """Return the request in a body; `json_length` is the value of the header, if it has one.

    Raises RequestError.
    """
    text, binary = _split(memoryview(raw), json_length)
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        msg = f"the body must be JSON: {error}"
        raise RequestError(msg) from error
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object with a list 'inputs'")
    identifier = body.get("id")
    if not isinstance(identifier, str | None):
        msg = f"id must be a string, not {shown(identifier)}"
        raise RequestError(msg)
    wanted = _wanted(body, outputs)
    return InferenceRequest(identifier, _inputs(body, binary, inputs), wanted)


def _split(raw: memoryview, json_length: str | None) -> tuple[memoryview, memoryview]:
    if json_length is None:
        return raw, raw[len(raw) :]
    is_number = json_length.isascii() and json_length.isdigit() and len(json_length) <= _MAX_DIGITS
    if not is_number or int(json_length) > len(raw):
        msg = (
            f"{BINARY_HEADER} must be a number of bytes up to {len(raw)}, the length of the body,"
            f" not {shown(json_length)}"
        )
        raise RequestError(msg)
    return raw[: int(json_length)], raw[int(json_length) :]


def _named(
    body: Mapping[str, Any], field: str, specs: Sequence[TensorSpec]
) -> dict[str, dict[str, Any]]:
    """Return the entries of the list `field` by name, in the order of the request."""
    entries = body.get(field)
    if not isinstance(entries, list):
        msg = f"{field} must be a list, not {shown(entries)}"
        raise RequestError(msg)
    names = [spec.name for spec in specs]
    named: dict[str, dict[str, Any]] = {}
    for place, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            msg = f"{field}[{place}] must be an object with a string 'name'"
            raise RequestError(msg)
        if name not in names:
            known = ", ".join(names)
            msg = f"{field}[{place}].name {shown(name)} is not one of the model's {field}: {known}"
            raise RequestError(msg)
        if name in named:
            msg = f"{field}[{place}].name {shown(name)} is there twice"
            raise RequestError(msg)
        named[name] = entry
    return named


def _parameters(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    parameters = entry.get("parameters")
    if not isinstance(parameters, dict | None):
        msg = f"{where}parameters must be an object, not {shown(parameters)}"
        raise RequestError(msg)
    return parameters or {}


def _flag(parameters: Mapping[str, Any], key: str, where: str, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        msg = f"{where}parameters.{key} must be true or false, not {shown(value)}"
        raise RequestError(msg)
    return value


def _wanted(body: Mapping[str, Any], specs: Sequence[TensorSpec]) -> tuple[WantedOutput, ...]:
    is_binary = _flag(_parameters(body, ""), "binary_data_output", "", default=False)
    if body.get("outputs") in (None, []):
        return tuple(WantedOutput(spec, is_binary) for spec in specs)
    by_name = {spec.name: spec for spec in specs}
    wanted = []
    for name, entry in _named(body, "outputs", specs).items():
        where = f"outputs['{name}']."
        parameters = _parameters(entry, where)
        for key in _UNSUPPORTED:
            if parameters.get(key):
                msg = f"{where}parameters.{key} is not supported"
                raise RequestError(msg)
        asked = _flag(parameters, "binary_data", where, is_binary)
        wanted.append(WantedOutput(by_name[name], asked))
    return tuple(wanted)


def _inputs(
    body: Mapping[str, Any], binary: memoryview, specs: Sequence[TensorSpec]
) -> dict[str, Array]:
    entries = _named(body, "inputs", specs)
    missing = [spec.name for spec in specs if spec.name not in entries]
    if missing:
        msg = f"inputs: '{missing[0]}' is missing"
        raise RequestError(msg)
    by_name = {spec.name: spec for spec in specs}
    arrays: dict[str, Array] = {}
    position = 0
    for name, entry in entries.items():
        size = _binary_size(entry, f"inputs['{name}']", len(binary) - position)
        part = None if size is None else binary[position : position + size]
        position += size or 0
        arrays[name] = _array(entry, by_name[name], part)
    if position != len(binary):
        msg = (
            f"the body has {len(binary)} bytes of binary data, but the inputs'"
            f" parameters.binary_data_size add up to {position}"
        )
        raise RequestError(msg)
    return arrays


def _binary_size(entry: Mapping[str, Any], where: str, left: int) -> int | None:
    size = _parameters(entry, f"{where}.").get("binary_data_size")
    if size is None:
        return None
    field = f"{where}.parameters.binary_data_size"
    if type(size) is not int or size < 0:
        msg = f"{field} must be a number of bytes, not {shown(size)}"
        raise RequestError(msg)
    if "data" in entry:
        msg = f"{where} must have either data or parameters.binary_data_size"
        raise RequestError(msg)
    if size > left:
        msg = (
            f"{field} is {size}, but only {left} bytes of binary data are left in the body;"
            f" the header {BINARY_HEADER} must give the length of the JSON"
        )
        raise RequestError(msg)
    return size


def _array(entry: Mapping[str, Any], spec: TensorSpec, binary: memoryview | None) -> Array:
    where = f"inputs['{spec.name}']"
    if entry.get("datatype") != spec.datatype:
        named = entry.get("datatype")
        asked = named if isinstance(named, str) and named in DATATYPES else shown(named)
        msg = f"{where}.datatype must be {spec.datatype}, not {asked}"
        raise RequestError(msg)
    shape = _shape(entry.get("shape"), spec, where)
    count, datatype = math.prod(shape), DATATYPES[spec.datatype]
    if binary is not None:
        return from_binary(binary, count, datatype, where).reshape(shape)
    values = _flat(entry, shape, where)
    if len(values) != count:
        msg = (
            f"{where}.data must be {count} {spec.datatype} values that fill the shape {shape},"
            f" not {len(values)}"
        )
        raise RequestError(msg)
    return from_json(values, datatype, where).reshape(shape)


def _shape(shape: Any, spec: TensorSpec, where: str) -> list[int]:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        msg = f"{where}.shape must be a list of lengths (whole numbers from 0)"
        raise RequestError(msg)
    if len(shape) > MAX_DIMENSIONS or math.prod(n for n in shape if n) > MAX_ELEMENTS:
        msg = (
            f"{where}.shape must have at most {MAX_DIMENSIONS} dimensions and {MAX_ELEMENTS} values"
        )
        raise RequestError(msg)
    if spec.shape is None:
        return shape
    fits = len(shape) == len(spec.shape) and all(
        want in {-1, have} for want, have in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        msg = f"{where}.shape must be {list(spec.shape)} (-1: any length), not {shape}"
        raise RequestError(msg)
    return shape


def _flat(entry: Mapping[str, Any], shape: Sequence[int], where: str) -> list[Any]:
    """Return the values in one list; nested lists must have exactly the form of the shape."""
    data = entry.get("data")
    if not isinstance(data, list):
        msg = f"{where}.data must be a list, not {shown(data)}"
        raise RequestError(msg)
    if len(shape) < _MIN_NESTED or not data or not isinstance(data[0], list):
        return data
    rows: list[Any] = [data]
    for length in shape:
        if not all(isinstance(row, list) and len(row) == length for row in rows):
            msg = f"{where}.data must be flat or nested as the shape {shape} says"
            raise RequestError(msg)
        rows = list(chain.from_iterable(rows))
    return rows


def write_answer(
    head: Mapping[str, Any],
    request: InferenceRequest,
    arrays: Sequence[Array],
) -> tuple[bytes, int | None]:
    """Return the body of the answer and, if binary data follow it, the length of its JSON."""
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for wanted, array in zip(request.outputs, arrays, strict=True):
        spec = wanted.spec
        output: dict[str, Any] = {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": list(array.shape),
        }
        if wanted.is_binary:
            parts.append(to_binary(array, spec.datatype))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = to_json(array, spec.datatype)
        outputs.append(output)
    text = orjson.dumps(dict(_answer(head, request, outputs)), option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((text, *parts)), len(text)) if parts else (text, None)


def _answer(
    head: Mapping[str, Any], request: InferenceRequest, outputs: list[dict[str, Any]]
) -> Iterator[tuple[str, Any]]:
    yield from head.items()
    if request.id is not None:
        yield "id", request.id
    yield "outputs", outputs
