"""ONNX model in memory: load, describe, infer.

`server.app` calls it from worker threads. Must never load anything but ONNX: other formats can run
code while they are read.
"""

import ctypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from modelfleet.server.base import Array, RequestError, TensorSpec
from modelfleet.server.datatypes import DATATYPES
from modelfleet.server.onnx_file import FileFacts, Labels, read_facts

_DATATYPES: Mapping[str, str] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(bfloat16)": "BF16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_MAPS = re.compile(r"seq\(map\(\w+,(tensor\(\w+\))\)\)")
_ONNX_BFLOAT16 = 16
"""Number of the type in onnx.proto."""
_NODE_FAILURE = re.compile(r"while running (\w+) node\..*?Status Message: (.*)", re.DOTALL)
_SHAPE_WORDS = re.compile(r"shape|dimension|broadcast|rank", re.IGNORECASE)
_SOURCE_PLACE = re.compile(r"^\S+\.(?:cc|h):\d+ (?:\S.*\) )?")
_REFUSALS = (onnx_errors.InvalidArgument, onnx_errors.Fail, onnx_errors.RuntimeException)
_MAX_REASON = 200


class NotAModelError(ValueError):
    """The file is not an ONNX model that this server can run."""


class OnnxModel:
    """A loaded model. `infer` may be called from several threads at once."""

    def __init__(self, file: Path, threads: int = 1) -> None:
        """Load `file`; `threads` are used within one inference.

        Raises NotAModelError.
        """
        # A model server opens no connection.
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:
            # onnxruntime raises classes of its own for each kind of broken file.
            msg = f"{file.name} is not an ONNX model that can be loaded: {str(error)[:300]}"
            raise NotAModelError(msg) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        has_maps = any(_MAPS.fullmatch(node.type) for node in outputs)
        is_unclear = has_maps or not all(node.shape for node in inputs)
        facts = read_facts(file) if is_unclear else FileFacts()
        self.inputs = tuple(_input_spec(node, facts) for node in inputs)
        self.outputs = tuple(_output_spec(node, facts) for node in outputs)
        self._maps = frozenset(node.name for node in outputs if _MAPS.fullmatch(node.type))
        self._refuse_mixture()

    def _refuse_mixture(self) -> None:
        """Refuse what onnxruntime cannot exchange with numpy in one call."""
        has_texts = any(spec.datatype == "BYTES" for spec in self.inputs)
        if any(spec.datatype == "BF16" for spec in self.outputs) and (has_texts or self._maps):
            raise NotAModelError("outputs of BF16 beside strings or maps cannot be served")

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[TensorSpec]) -> list[Array]:
        """Return the arrays of these outputs, in their order.

        Raises RequestError if the model refuses the inputs.
        """
        try:
            return self._run(inputs, outputs)
        except _REFUSALS as error:
            reason = self._refusal(error)
            if reason is None:
                raise
            shapes = ", ".join(f"'{name}' {list(array.shape)}" for name, array in inputs.items())
            msg = f"inputs: the model refuses {shapes}: {reason}"
            raise RequestError(msg) from error

    def _run(self, inputs: Mapping[str, Array], outputs: Sequence[TensorSpec]) -> list[Array]:
        names = [spec.name for spec in outputs]
        feeds: dict[str, Any] = dict(inputs)
        for spec in self.inputs:
            if spec.datatype == "BF16":
                feeds[spec.name] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
                    inputs[spec.name], _ONNX_BFLOAT16
                )
        if any(spec.datatype == "BF16" for spec in outputs):
            return self._run_bfloat16(names, feeds)
        results = self._session.run(names, feeds)
        return [
            _from_maps(result, spec) if spec.name in self._maps else np.asarray(result)
            for spec, result in zip(outputs, results, strict=True)
        ]

    def _run_bfloat16(self, names: list[str], feeds: Mapping[str, Any]) -> list[Array]:
        """Run by values of onnxruntime: numpy has no BF16."""
        values = {
            name: feed
            if isinstance(feed, onnxruntime.OrtValue)
            else onnxruntime.OrtValue.ortvalue_from_numpy(feed)
            for name, feed in feeds.items()
        }
        return [_array_of(value) for value in self._session.run_with_ort_values(names, values)]

    def _refusal(self, error: Exception) -> str | None:
        """Return why the inputs are at fault; None if the model or the server is.

        A node that fails on shapes is the client's error only if the model leaves shapes free.
        """
        text = str(error)
        node = _NODE_FAILURE.search(text)
        reason = f"{node[1]}: {_SOURCE_PLACE.sub('', node[2])}" if node else text
        is_free = any(spec.shape is None or -1 in spec.shape for spec in self.inputs)
        is_shape = node is not None and bool(_SHAPE_WORDS.search(node[2]))
        if isinstance(error, onnx_errors.InvalidArgument) or (is_free and is_shape):
            return reason.strip()[:_MAX_REASON]
        return None


def _array_of(value: Any) -> Array:
    if value.data_type() != "tensor(bfloat16)":
        return np.asarray(value.numpy())
    size = value.tensor_size_in_bytes()
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(raw, dtype=np.uint16).reshape(value.shape())


def _from_maps(rows: Sequence[Mapping[Any, Any]], spec: TensorSpec) -> Array:
    """Return a table of the maps: one row each, one column for each label.

    Without labels in the file the order is that of onnxruntime: ascending.
    """
    labels = spec.labels or (tuple(rows[0]) if rows else ())
    table = np.empty((len(rows), len(labels)), dtype=DATATYPES[spec.datatype].numpy)
    for place, row in enumerate(rows):
        table[place] = [row[label] for label in labels]
    return table


def _input_spec(node: Any, facts: FileFacts) -> TensorSpec:
    shape = None if node.name in facts.shapeless else _lengths(node.shape)
    return TensorSpec(node.name, _datatype(node.name, node.type, node.type), shape)


def _output_spec(node: Any, facts: FileFacts) -> TensorSpec:
    maps = _MAPS.fullmatch(node.type)
    if maps is None:
        return TensorSpec(
            node.name, _datatype(node.name, node.type, node.type), _lengths(node.shape)
        )
    labels: Labels = facts.labels.get(node.name, ())
    shape = (-1, len(labels) or -1)
    return TensorSpec(node.name, _datatype(node.name, maps[1], node.type), shape, labels)


def _lengths(shape: Sequence[Any]) -> tuple[int, ...]:
    return tuple(length if isinstance(length, int) else -1 for length in shape)


def _datatype(name: str, kind: str, shown: str) -> str:
    datatype = _DATATYPES.get(kind)
    if datatype is None:
        msg = (
            f"'{name}' has type {shown}; only tensors of the protocol's datatypes can be served,"
            " and sequences of maps as outputs"
        )
        raise NotAModelError(msg)
    return datatype
