"""Datatypes of the Open Inference Protocol v2: JSON values and bytes <-> flat numpy arrays. Pure.

`server.open_inference` uses it. Must never change a number silently: a value that the datatype
cannot hold is an error that names its place. Floating-point types round to the nearest value, as
they do with 0.1. A BF16 array holds the bits as uint16, because numpy has no such type.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelfleet.server.base import Array, RequestError

MAX_EXACT_FLOAT = 2**53 - 1
"""Largest whole number that a JSON number with a fraction or exponent is accepted for."""
LENGTH_BYTES = 4
"""Bytes of the length before each element of a binary BYTES tensor."""
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype: the numpy type in memory and in binary data, and its JSON values in words."""

    name: str
    numpy: np.dtype[Any]
    json_types: frozenset[type]
    words: str


def _table() -> Mapping[str, Datatype]:
    whole, number = frozenset({int, float}), "a number"
    rows = [
        Datatype("BOOL", np.dtype("bool"), frozenset({bool}), "true or false"),
        Datatype("BYTES", np.dtype("object"), frozenset({str}), "a string"),
    ]
    for bits in (8, 16, 32, 64):
        for name, numpy_name in ((f"UINT{bits}", f"uint{bits}"), (f"INT{bits}", f"int{bits}")):
            low, high = np.iinfo(numpy_name).min, np.iinfo(numpy_name).max
            words = f"a whole number from {low} to {high}"
            rows.append(Datatype(name, np.dtype(numpy_name), whole, words))
    for name, numpy_name in (
        ("FP16", "float16"),
        ("BF16", "uint16"),
        ("FP32", "float32"),
        ("FP64", "float64"),
    ):
        rows.append(Datatype(name, np.dtype(numpy_name), whole, number))
    return {row.name: row for row in rows}


DATATYPES = _table()


def shown(value: Any) -> str:
    """Return a JSON value for an error message; long ones are cut, lists and objects only named."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def from_json(values: list[Any], datatype: Datatype, where: str) -> Array:
    """Return the array of flat JSON values; `where` names the tensor.

    Raises RequestError.
    """
    if not set(map(type, values)) <= datatype.json_types:
        raise _unfit(values, lambda value: type(value) not in datatype.json_types, datatype, where)
    if datatype.name == "BYTES":
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        return texts
    if datatype.name == "BOOL":
        return np.array(values, dtype=bool)
    if datatype.name == "BF16" or datatype.numpy.kind == "f":
        return _floats(values, datatype, where)
    return _integers(values, datatype, where)


def _unfit(
    values: Sequence[Any], is_unfit: Callable[[Any], bool], datatype: Datatype, where: str
) -> RequestError:
    place = next(place for place, value in enumerate(values) if is_unfit(value))
    return RequestError(
        f"{where}.data[{place}] must be {datatype.words} ({datatype.name}),"
        f" not {shown(values[place])}"
    )


def _integers(values: list[Any], datatype: Datatype, where: str) -> Array:
    limits = np.iinfo(datatype.numpy)

    def is_unfit(value: float) -> bool:
        # Beyond the bound a number may have been rounded when the text was read.
        is_exact = isinstance(value, int) or (value.is_integer() and abs(value) <= MAX_EXACT_FLOAT)
        return not is_exact or not limits.min <= int(value) <= limits.max

    try:
        if float not in set(map(type, values)):
            return np.array(values, dtype=datatype.numpy)
    except OverflowError:
        raise _unfit(values, is_unfit, datatype, where) from None
    if any(map(is_unfit, values)):
        raise _unfit(values, is_unfit, datatype, where)
    return np.array([int(value) for value in values], dtype=datatype.numpy)


def _floats(values: list[Any], datatype: Datatype, where: str) -> Array:
    is_bf16 = datatype.name == "BF16"
    with np.errstate(over="ignore"):
        array = np.array(values, dtype=np.float32 if is_bf16 else datatype.numpy)
    bits = _bf16_bits(array) if is_bf16 else None
    finite = np.isfinite(array if bits is None else bf16_numbers(bits))
    if not finite.all():
        place = int(np.argmin(finite))
        msg = (
            f"{where}.data[{place}] must be a number that {datatype.name} can hold,"
            f" not {shown(values[place])}"
        )
        raise RequestError(msg)
    return array if bits is None else bits


def _bf16_bits(array: Array) -> Array:
    """Return the upper halves of float32 numbers, rounded to the nearest, ties to even."""
    bits = array.view(np.uint32).astype(np.uint64)
    rounded: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return rounded


def bf16_numbers(bits: Array) -> Array:
    """Return BF16 bits as float32, which holds each of them exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def from_binary(raw: memoryview, count: int, datatype: Datatype, where: str) -> Array:
    """Return the array of `count` values in binary data; `where` names the tensor.

    Raises RequestError.
    """
    if datatype.name == "BYTES":
        return _texts(raw, count, where)
    size = count * datatype.numpy.itemsize
    if len(raw) != size:
        msg = (
            f"{where}.parameters.binary_data_size must be {size} for {count} values of"
            f" {datatype.name}, not {len(raw)}"
        )
        raise RequestError(msg)
    if datatype.name == "BOOL":
        octets = np.frombuffer(raw, dtype=np.uint8)
        if (octets > 1).any():
            place = int(np.argmax(octets > 1))
            msg = f"{where}: byte {place} must be 0 or 1 (BOOL), not {octets[place]}"
            raise RequestError(msg)
        return octets.view(bool)
    # The model may use instructions that need aligned numbers.
    return np.require(np.frombuffer(raw, dtype=datatype.numpy), requirements=["C", "A"])


def _texts(raw: memoryview, count: int, where: str) -> Array:
    texts: list[str] = []
    position = 0
    while position < len(raw) and len(texts) < count:
        start = position + LENGTH_BYTES
        position = start + int.from_bytes(raw[position:start], "little")
        if max(start, position) > len(raw):
            msg = f"{where}: element {len(texts)} goes beyond its binary data"
            raise RequestError(msg)
        try:
            texts.append(str(raw[start:position], "utf-8"))
        except UnicodeDecodeError:
            msg = f"{where}: element {len(texts)} must be UTF-8"
            raise RequestError(msg) from None
    if len(texts) != count or position != len(raw):
        msg = (
            f"{where}: the binary data must hold {count} elements, each after its length in"
            f" {LENGTH_BYTES} bytes"
        )
        raise RequestError(msg)
    array = np.empty(count, dtype=object)
    array[:] = texts
    return array


def to_json(array: Array, datatype: str) -> Any:
    """Return the values in a form that orjson writes; it writes NaN and infinity as null."""
    flat = array.reshape(-1)
    if datatype == "BYTES":
        return [str(text) for text in flat]
    if datatype == "BF16":
        flat = bf16_numbers(flat)
    return np.ascontiguousarray(flat)


def to_binary(array: Array, datatype: str) -> bytes:
    """Return the values as binary data of the protocol."""
    if datatype != "BYTES":
        return array.tobytes()
    parts: list[bytes] = []
    for text in array.reshape(-1):
        octets = str(text).encode()
        parts += (len(octets).to_bytes(LENGTH_BYTES, "little"), octets)
    return b"".join(parts)
