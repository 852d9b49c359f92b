"""Probe kind `OpenInferenceV2`: a request that is generated from the server's own metadata.

Source of the messages: Open Inference Protocol v2, sections "Model Metadata" and "Inference". Must
never call an answer wrong that only refuses this kind of request.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson

from modelfleet.catalog.probes.base import (
    Exchange,
    ProbeAnswer,
    ProbeOutcome,
    ProbeRequest,
    ProbeSpec,
)

MAX_ELEMENTS = 2_000_000
"""Numbers in all inputs of a generated request; a picture of 3 x 640 x 640 has 1.2 million."""
UNKNOWN_SIZE = 64
"""Size of an unknown dimension of pictures and sequences. Detectors need a multiple of 32."""
PICTURE_RANK = 3
"""Dimensions from which on a tensor is taken for a picture or a sequence."""
_UNFIT_CODES = frozenset({400, 404, 405, 411, 413, 415, 422, 501})
_BUSY_CODES = frozenset({408, 429, 502, 503, 504})
_ONES: Mapping[str, Any] = {"BOOL": True, "BYTES": "a"}


class OpenInferenceProbe:
    """Ones in the shape of each input; each output has to hold finite values."""

    name = "OpenInferenceV2"

    def exchange(self, spec: ProbeSpec) -> Exchange:
        """Ask for the metadata, then send one inference."""
        path = f"/v2/models/{spec.model}"
        answer = yield ProbeRequest("GET", path)
        if answer.status != HTTPStatus.OK:
            return _refused("metadata", answer.status)
        request = generate(_read(answer))
        if request is None:
            return ProbeOutcome("Unfit", "no request can be generated from the metadata")
        answer = yield ProbeRequest("POST", f"{path}/infer", orjson.dumps(request))
        if answer.status != HTTPStatus.OK:
            return _refused("inference", answer.status)
        if answer.body is None:
            return ProbeOutcome("Unfit", "the answer is too large to be judged")
        return judge(_read(answer))


def _read(answer: ProbeAnswer) -> Any:
    """Return the JSON of an answer; None if it is none, or if it was too large."""
    try:
        return orjson.loads(answer.body or b"")
    except ValueError:
        return None


def _refused(step: str, status: int) -> ProbeOutcome:
    reason = f"{step}: HTTP {status}"
    if status in _BUSY_CODES:
        return ProbeOutcome("Late", reason)
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    return ProbeOutcome("Unfit" if is_redirect or status in _UNFIT_CODES else "Wrong", reason)


def generate(metadata: Any) -> dict[str, Any] | None:
    """Return ones in the shape of each input; None when that is impossible.

    Zeros would break models that divide by a sum or take a logarithm. Worked example: the shape
    [-1, 3, -1, -1] becomes [1, 3, 64, 64], and [-1, 4] becomes [1, 4].
    """
    tensors = metadata.get("inputs") if isinstance(metadata, Mapping) else None
    if not isinstance(tensors, list) or not tensors:
        return None
    inputs, total = [], 0
    for tensor in tensors:
        shape = _shape(tensor)
        if shape is None:
            return None
        count = math.prod(shape)
        total += count
        if total > MAX_ELEMENTS:
            return None
        value = _ONES.get(tensor["datatype"], 1)
        described = {key: tensor[key] for key in ("name", "datatype")}
        inputs.append({**described, "shape": shape, "data": [value] * count})
    return {"inputs": inputs}


def _shape(tensor: Any) -> list[int] | None:
    """Return the sizes of an input with a value for each unknown one; None if it has no shape."""
    is_known = isinstance(tensor, Mapping) and all(
        isinstance(tensor.get(key), str) for key in ("name", "datatype")
    )
    sizes = tensor.get("shape") if is_known else None
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        return None
    unknown = UNKNOWN_SIZE if len(sizes) >= PICTURE_RANK else 1
    return [
        size if size > 0 else 1 if position == 0 else unknown for position, size in enumerate(sizes)
    ]


def judge(answer: Any) -> ProbeOutcome:
    """Return `Right` when every output has its values and each of them is a finite number.

    An output of size 0 is right when its shape says so: a detector found nothing.
    """
    outputs = answer.get("outputs") if isinstance(answer, Mapping) else None
    if not isinstance(outputs, list) or not outputs:
        return ProbeOutcome("Wrong", "no outputs")
    for output in outputs:
        fault = _fault_of(output) if isinstance(output, Mapping) else "is no object"
        if fault:
            name = output.get("name") if isinstance(output, Mapping) else None
            return ProbeOutcome("Wrong", f"output {name!r} {fault}"[:200])
    return ProbeOutcome("Right")


def _fault_of(output: Mapping[str, Any]) -> str:
    """Return what is wrong with an output; empty when nothing is."""
    if "data" not in output and output.get("parameters"):
        return ""  # binary extension: bytes follow the JSON, nothing can be checked
    values = list(_flat(output.get("data", [])))
    if not values:
        return "" if _is_empty(output.get("shape")) else "is empty"
    # JSON has no NaN: servers write null, or a bare word that orjson refuses to read.
    is_finite = all(
        value is not None and (not isinstance(value, float) or math.isfinite(value))
        for value in values
    )
    return "" if is_finite else "is not finite"


def _is_empty(shape: Any) -> bool:
    return isinstance(shape, Sequence) and 0 in shape


def _flat(data: Any) -> Iterator[Any]:
    """Yield the values of nested lists in order; a single value counts as a list of one."""
    for part in data if isinstance(data, list) else [data]:
        if isinstance(part, list):
            yield from _flat(part)
        else:
            yield part
