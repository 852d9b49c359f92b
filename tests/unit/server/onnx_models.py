"""Small ONNX models for the tests of the server, and requests for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
Tensor = tuple[str, int, Sequence[int | str] | None]


def save(path: Path, nodes: list[Any], inputs: list[Tensor], outputs: list[Tensor]) -> Path:
    """A model of these nodes; inputs and outputs are (name, type, shape)."""
    graph = helper.make_graph(
        nodes,
        "tested",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [helper.make_tensor_value_info(*tensor) for tensor in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def double(path: Path) -> Path:
    """A model that doubles its input and says which column is largest."""
    nodes = [
        helper.make_node("Add", ["X", "X"], ["Y"]),
        helper.make_node("ArgMax", ["X"], ["label"], axis=1, keepdims=0),
    ]
    return save(
        path,
        nodes,
        [("X", TensorProto.FLOAT, ["N", 3])],
        [("Y", TensorProto.FLOAT, ["N", 3]), ("label", TensorProto.INT64, ["N"])],
    )


def echo(path: Path, kind: int, shape: Sequence[int | str] | None = ("N",)) -> Path:
    """A model that returns its input of any type."""
    node = helper.make_node("Identity", ["X"], ["Y"])
    return save(path, [node], [("X", kind, shape)], [("Y", kind, shape)])


def add(path: Path) -> Path:
    """A model with two inputs of one length; onnxruntime sees only at work that they differ."""
    node = helper.make_node("Add", ["A", "B"], ["Y"])
    inputs = [("A", TensorProto.FLOAT, ["N", 3]), ("B", TensorProto.FLOAT, ["N", 3])]
    return save(path, [node], inputs, [("Y", TensorProto.FLOAT, ["N", 3])])


def request(data: Any, shape: Any, **more: Any) -> dict[str, Any]:
    """A request for `double`."""
    return {"inputs": [{"name": "X", "datatype": "FP32", "shape": shape, "data": data, **more}]}
