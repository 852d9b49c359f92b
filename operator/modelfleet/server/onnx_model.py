"""ONNX model in memory: load, describe, infer.

`server.app` calls it from worker threads. Must never load anything but ONNX: other formats can run
code while they are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from modelfleet.server.open_inference import NAMES, TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]

_ONNX_TO_NUMPY: Mapping[str, str] = {
    "tensor(bool)": "bool",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(string)": "object",
}


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
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())

    def infer(self, inputs: Mapping[str, Array]) -> list[tuple[TensorSpec, Array]]:
        """Return the outputs in the model's order."""
        names = [spec.name for spec in self.outputs]
        results = self._session.run(names, dict(inputs))
        return [
            (spec, np.asarray(result)) for spec, result in zip(self.outputs, results, strict=True)
        ]


def _spec(node: Any) -> TensorSpec:
    numpy_name = _ONNX_TO_NUMPY.get(node.type)
    if numpy_name is None:
        msg = f"'{node.name}' has type {node.type}; only tensors can be served"
        raise NotAModelError(msg)
    shape = tuple(length if isinstance(length, int) else -1 for length in node.shape)
    return TensorSpec(node.name, NAMES[numpy_name], shape)
