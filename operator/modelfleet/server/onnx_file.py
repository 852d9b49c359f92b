"""Facts in an ONNX file that onnxruntime does not give: labels of maps, inputs without a shape.

`server.onnx_model` reads them after onnxruntime has accepted the file. The reader knows only the
few fields of the protocol buffer that it needs (onnx.proto) and skips the rest, so that the server
needs no further package. Must never load weights.
"""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Labels = tuple[str | int, ...]

_GRAPH = 7
_NODE, _INPUT = 1, 11
_NODE_OUTPUT, _OP_TYPE, _ATTRIBUTE = 2, 4, 5
_ATTRIBUTE_NAME, _INTEGERS, _STRINGS = 1, 8, 9
_VALUE_NAME, _TYPE, _TENSOR_TYPE, _SHAPE = 1, 2, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN, _MODULUS = 1 << 63, 1 << 64
_LABEL_ATTRIBUTES = ("classlabels_strings", "classlabels_int64s")
_MAX_SHIFT = 63


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Labels by the name of the output of maps, and inputs without declared shape."""

    labels: Mapping[str, Labels] = field(default_factory=dict)
    shapeless: frozenset[str] = frozenset()


def read_facts(file: Path) -> FileFacts:
    """Return the facts of a model; none if the file has another form than ONNX."""
    try:
        with file.open("rb") as opened:
            data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        return _facts(data)
    except (ValueError, IndexError):
        return FileFacts()


def _facts(data: memoryview) -> FileFacts:
    labels: dict[str, Labels] = {}
    shapeless: set[str] = set()
    for graph in _messages(data, _GRAPH):
        for node in _messages(graph, _NODE):
            if _text(node, _OP_TYPE) == "ZipMap":
                labels[_text(node, _NODE_OUTPUT)] = _labels(node)
        inputs = _messages(graph, _INPUT)
        shapeless |= {_text(value, _VALUE_NAME) for value in inputs if not _has_shape(value)}
    return FileFacts(labels, frozenset(shapeless))


def _labels(node: memoryview) -> Labels:
    for attribute in _messages(node, _ATTRIBUTE):
        if _text(attribute, _ATTRIBUTE_NAME) in _LABEL_ATTRIBUTES:
            texts = [str(value, "utf-8") for value in _messages(attribute, _STRINGS)]
            return tuple(texts or _integers(attribute))
    return ()


def _integers(attribute: memoryview) -> Iterator[int]:
    for number, value in _fields(attribute):
        if number == _INTEGERS and isinstance(value, int):
            yield _signed(value)
        elif number == _INTEGERS and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                integer, position = _varint(value, position)
                yield _signed(integer)


def _signed(value: int) -> int:
    return value - _MODULUS if value >= _SIGN else value


def _has_shape(value: memoryview) -> bool:
    return any(
        True
        for kind in _messages(value, _TYPE)
        for tensor in _messages(kind, _TENSOR_TYPE)
        for _ in _messages(tensor, _SHAPE)
    )


def _text(data: memoryview, number: int) -> str:
    """Return the first text of a field; empty if there is none."""
    return next((str(value, "utf-8") for value in _messages(data, number)), "")


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    for found_number, value in _fields(data):
        if found_number == number and isinstance(value, memoryview):
            yield value


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of each field of a protocol buffer.

    Raises ValueError or IndexError if it is none.
    """
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, position = _varint(data, position)
        elif kind in {_FIXED32, _FIXED64}:
            length = 4 if kind == _FIXED32 else 8
        else:
            msg = f"wire type {kind}"
            raise ValueError(msg)
        end = position + length
        if end > len(data):
            raise ValueError("a field goes beyond its message")
        yield tag >> 3, data[position:end]
        position = end


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return the number at a position and the position behind it."""
    value = 0
    for shift in range(0, _MAX_SHIFT + 1, 7):
        octet = data[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:  # noqa: PLR2004 - the highest bit says that more follow
            return value, position
    raise ValueError("a number of more than 64 bits")
