"""Open Inference Protocol v2 (JSON) <-> numpy arrays. Pure.

`server.app` uses it. An error names the field of the request and the allowed values. Source: the
protocol's REST specification, sections "Inference" and "Tensor Data Types".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DTYPES: Mapping[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
NAMES: Mapping[str, str] = {numpy_name: name for name, numpy_name in DTYPES.items()}


class RequestError(ValueError):
    """The request is wrong; the message names the field."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, datatype (of the protocol) and shape of an input or output; -1 for any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form of the metadata endpoint."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def inputs_of(
    body: Any, expected: Sequence[TensorSpec]
) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Return the arrays by input name.

    Raises RequestError.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
        msg = "the body must be a JSON object with a list 'inputs'"
        raise RequestError(msg)
    entries = {entry.get("name"): entry for entry in body["inputs"] if isinstance(entry, Mapping)}
    arrays = {}
    for spec in expected:
        entry = entries.pop(spec.name, None)
        if entry is None:
            names = ", ".join(s.name for s in expected)
            msg = f"inputs: '{spec.name}' is missing; the model's inputs are: {names}"
            raise RequestError(msg)
        arrays[spec.name] = _array(entry, spec)
    if entries:
        msg = f"inputs: '{next(iter(entries))}' is not an input of the model"
        raise RequestError(msg)
    return arrays


def _array(entry: Mapping[str, Any], spec: TensorSpec) -> np.ndarray[Any, np.dtype[Any]]:
    where = f"inputs['{spec.name}']"
    if entry.get("datatype") != spec.datatype:
        msg = f"{where}.datatype must be {spec.datatype}, not {entry.get('datatype')}"
        raise RequestError(msg)
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        msg = f"{where}.shape must be a list of lengths"
        raise RequestError(msg)
    fits = len(shape) == len(spec.shape) and all(
        want in {-1, have} for want, have in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        msg = f"{where}.shape must be {list(spec.shape)} (-1: any length), not {shape}"
        raise RequestError(msg)
    try:
        flat = np.asarray(entry.get("data"), dtype=DTYPES[spec.datatype]).reshape(-1)
        return flat.reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        msg = f"{where}.data must be {spec.datatype} values that fill the shape {shape}: {error}"
        raise RequestError(msg) from error


def outputs_of(
    outputs: Sequence[tuple[TensorSpec, np.ndarray[Any, np.dtype[Any]]]],
) -> list[dict[str, Any]]:
    """Return the outputs in the form of the protocol; strings as BYTES."""
    return [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": list(array.shape),
            "data": array.reshape(-1).tolist(),
        }
        for spec, array in outputs
    ]
