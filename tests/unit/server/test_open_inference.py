"""The protocol: what a body becomes, what an answer looks like, and what is refused by name."""

import contextlib
import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelfleet.server.base import RequestError, TensorSpec
from modelfleet.server.datatypes import DATATYPES, to_json
from modelfleet.server.open_inference import InferenceRequest, read_request, write_answer
from tests.unit.server.onnx_models import request

X = TensorSpec("X", "FP32", (-1, 3))
OUTPUTS = (TensorSpec("Y", "FP32", (-1, 3)), TensorSpec("label", "INT64", (-1,)))


def read(body: Any, specs: Any = (X,), binary: bytes = b"") -> InferenceRequest:
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_request(text + binary, str(len(text)) if binary else None, specs, OUTPUTS)


def asking(**outputs: Any) -> dict[str, Any]:
    """A right request with a list of outputs: name -> parameters."""
    wanted = [{"name": name, "parameters": given} for name, given in outputs.items()]
    return {**request([1, 2, 3], [1, 3]), "outputs": wanted}


TWICE = {"inputs": request([1, 2, 3], [1, 3])["inputs"] * 2}
RIGHT = request([1, 2, 3], [1, 3])
BYTES_12 = {"parameters": {"binary_data_size": 12}}


def without(key: str) -> dict[str, Any]:
    entry = {name: value for name, value in RIGHT["inputs"][0].items() if name != key}
    return {"inputs": [entry]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body must be JSON"),
        (b"{", "the body must be JSON"),
        (b'"\xff"', "the body must be JSON"),
        (b'{"inputs": NaN}', "the body must be JSON"),
        (b"[" * 5000 + b"]" * 5000, "the body must be JSON"),
        (b'{"inputs": [{"name": "X", "data": [1e400]}]}', "the body must be JSON"),
        ([], "a JSON object with a list 'inputs'"),
        (None, "a JSON object"),
        ("X", "a JSON object"),
        ({}, "inputs must be a list, not null"),
        ({"inputs": {}}, "inputs must be a list, not an object"),
        ({"inputs": []}, "inputs: 'X' is missing"),
        ({"inputs": [1]}, r"inputs\[0\] must be an object with a string 'name'"),
        (request([1], [1], name=[]), r"inputs\[0\] must be an object with a string 'name'"),
        (request([1], [1], name=None), r"inputs\[0\] must be an object"),
        (request([1], [1], name="Z"), r"inputs\[0\]\.name 'Z' is not one of .* inputs: X"),
        (TWICE, r"inputs\[1\]\.name 'X' is there twice"),
        (without("datatype"), r"inputs\['X'\]\.datatype must be FP32, not null"),
        (request([1, 2, 3], [1, 3], datatype="INT8"), "datatype must be FP32, not INT8"),
        (request([1, 2, 3], [1, 3], datatype={}), "datatype must be FP32, not an object"),
        (without("shape"), r"inputs\['X'\]\.shape must be a list of lengths"),
        (request([1], "x"), "shape must be a list"),
        (request([1, 2, 3], [-1, 3]), "shape must be a list"),
        (request([1, 2, 3], [True, 3]), "shape must be a list"),
        (request([1, 2, 3], [1.0, 3]), "shape must be a list"),
        (request([1, 2, 3], [None, 3]), "shape must be a list"),
        (request([1], [1]), r"shape must be \[-1, 3\]"),
        (request([1, 2, 3, 4], [1, 4]), r"shape must be \[-1, 3\]"),
        (request([], [0, 2**50]), "at most"),
        (request([], [1] * 40), "at most 32 dimensions"),
        (request([], [2**63, 3]), "at most"),
        (without("data"), r"inputs\['X'\]\.data must be a list, not null"),
        (request(5, [1, 3]), "data must be a list, not 5"),
        (request("123", [1, 3]), "data must be a list"),
        (request([1, 2], [1, 3]), "data must be 3 FP32 values that fill the shape"),
        (request([1, 2, 3, 4], [1, 3]), "data must be 3 FP32 values"),
        (request(["a", 2, 3], [1, 3]), r"data\[0\] must be a number"),
        (request([1, None, 3], [1, 3]), r"inputs\['X'\]\.data\[1\] .* not null"),
        (request([1, 2, 1e40], [1, 3]), r"inputs\['X'\]\.data\[2\] .* FP32 can hold"),
        (request([[1, 2], [3, 4], [5, 6]], [2, 3]), "flat or nested as the shape"),
        (request([[1, 2, 3], 4, 5, 6], [2, 3]), "flat or nested"),
        (request([1, [2], 3], [1, 3]), r"data\[1\] must be a number.* not a list"),
        (request([[[1], 2, 3]], [1, 3]), r"data\[0\] must be a number.* not a list"),
        ({**RIGHT, "id": 42}, "id must be a string, not 42"),
        ({**RIGHT, "parameters": []}, "parameters must be an object, not a list"),
        (
            {**RIGHT, "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output must be true or false, not 1",
        ),
        (request([1, 2, 3], [1, 3], parameters=3), r"inputs\['X'\]\.parameters must be an object"),
        (request([1, 2, 3], [1, 3], **BYTES_12), "either data or parameters.binary_data_size"),
        ({**RIGHT, "outputs": {}}, "outputs must be a list"),
        ({**RIGHT, "outputs": ["Y"]}, r"outputs\[0\] must be an object"),
        ({**RIGHT, "outputs": [{"name": "Y"}] * 2}, r"outputs\[1\]\.name 'Y' is there twice"),
        (asking(Z={}), r"outputs\[0\]\.name 'Z' is not one of the model's outputs: Y, label"),
        (asking(Y={"binary_data": "yes"}), r"outputs\['Y'\]\.parameters\.binary_data must be"),
        (asking(Y={"classification": 3}), "classification is not supported"),
        (asking(Y={"shared_memory_region": "r"}), "shared_memory_region is not supported"),
    ],
)
def test_wrong_request_names_the_field(body, words):
    with pytest.raises(RequestError, match=words) as raised:
        read(body)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("size", "binary", "words"),
    [
        (12, b"\0" * 13, "the body has 13 bytes of binary data, .* add up to 12"),
        (12, b"\0" * 11, "binary_data_size is 12, but only 11 bytes"),
        (8, b"\0" * 8, "binary_data_size must be 12 for 3 values of FP32, not 8"),
        (-1, b"\0", "binary_data_size must be a number of bytes, not -1"),
        (True, b"\0", "binary_data_size must be a number of bytes, not true"),
        ("12", b"\0" * 12, "binary_data_size must be a number of bytes"),
        (12, b"", "only 0 bytes .* the header Inference-Header-Content-Length"),
    ],
)
def test_wrong_binary_data_name_the_field(size, binary, words):
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3]}
    body = {"inputs": [{**entry, "parameters": {"binary_data_size": size}}]}
    with pytest.raises(RequestError, match=words):
        read(body, binary=binary)


@pytest.mark.parametrize("header", ["", "-1", "x", "1.0", "99999", "9" * 30, "²"])
def test_wrong_length_of_the_json_is_refused(header):
    with pytest.raises(RequestError, match="Inference-Header-Content-Length must be"):
        read_request(orjson.dumps(RIGHT), header, (X,), OUTPUTS)


def test_outputs_are_selected_and_ordered():
    assert [w.spec.name for w in read(RIGHT).outputs] == ["Y", "label"]
    assert [w.spec.name for w in read({**RIGHT, "outputs": []}).outputs] == ["Y", "label"]
    assert [w.spec.name for w in read(asking(label={})).outputs] == ["label"]
    assert [w.spec.name for w in read(asking(label={}, Y={})).outputs] == ["label", "Y"]


def test_binary_answers_are_asked_for_all_outputs_or_for_one():
    every = {"parameters": {"binary_data_output": True}}
    assert [w.is_binary for w in read({**RIGHT, **every}).outputs] == [True, True]
    mixed = {**asking(Y={"binary_data": False}, label={}), **every}
    assert [w.is_binary for w in read(mixed).outputs] == [False, True]
    assert [w.is_binary for w in read(asking(Y={"binary_data": True}, label={})).outputs] == [
        True,
        False,
    ]


def test_unknown_parameters_are_ignored():
    body = {**asking(Y={"content_type": "np"}), "parameters": {"priority": 1, "x": None}}
    assert read(body).outputs[0].spec.name == "Y"


@pytest.mark.parametrize("data", [[[1, 2, 3], [4, 5, 6]], [1, 2, 3, 4, 5, 6]])
def test_data_may_be_nested_or_flat(data):
    assert read(request(data, [2, 3])).inputs["X"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_rank_and_lengths_of_the_model_are_kept():
    scalar, free = TensorSpec("X", "FP32", ()), TensorSpec("X", "FP32", None)
    assert read(request([5], []), (scalar,)).inputs["X"].shape == ()
    assert read(request([], [0, 3])).inputs["X"].shape == (0, 3)
    assert read(request([[], []], [2, 0]), (free,)).inputs["X"].shape == (2, 0)
    with pytest.raises(RequestError, match=r"shape must be \[\]"):
        read(request([5], [1]), (scalar,))


def test_answer_of_the_binary_extension_by_hand():
    asked = read({**asking(label={"binary_data": True}, Y={}), "id": "7"})
    arrays = [np.array([1, -1]), np.array([[0.5, 1, 2]], dtype=np.float32)]
    body, length = write_answer({"model_name": "m"}, asked, arrays)
    assert length is not None
    parameters = {"parameters": {"binary_data_size": 16}}
    assert orjson.loads(body[:length]) == {
        "model_name": "m",
        "id": "7",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [2], **parameters},
            {"name": "Y", "datatype": "FP32", "shape": [1, 3], "data": [0.5, 1, 2]},
        ],
    }
    assert struct.unpack("<qq", body[length:]) == (1, -1)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, np.ndarray]:
    """A datatype and an array of it, whose numbers are finite where JSON must carry them."""
    name = draw(st.sampled_from(sorted(DATATYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    kind = DATATYPES[name].numpy
    if name == "BYTES":
        return name, draw(hnp.arrays(object, shape, elements=st.text(max_size=4), fill=st.just("")))
    if name == "BF16":
        return name, draw(hnp.arrays(np.uint16, shape, elements=st.integers(0, 0x7F7F)))
    return name, draw(hnp.arrays(kind, shape, elements=hnp.from_dtype(kind, allow_nan=False)))


@given(tensors(), st.booleans(), st.booleans())
@settings(max_examples=300)
def test_every_tensor_comes_back_as_it_was_sent(tensor, is_binary, is_nested):
    """The answer of a model that returns its input is a request: written, read, the same."""
    name, array = tensor
    finite = name in {"BYTES", "BOOL", "BF16"} or np.isfinite(array).all()
    spec = TensorSpec("T", name, (-1,) * array.ndim)
    asked = read_request(
        b'{"inputs":[],"parameters":{"binary_data_output":%s}}'
        % (b"true" if is_binary or not finite else b"false"),
        None,
        (),
        (spec,),
    )
    body, length = write_answer({}, asked, [array])
    head = orjson.loads(body[:length])
    if is_nested and length is None and name not in {"BF16", "BYTES"}:
        head["outputs"][0]["data"] = array.tolist() if array.ndim else [array.item()]
    text = orjson.dumps({"inputs": head["outputs"]})
    json_length = None if length is None else str(len(text))
    raw = text + (b"" if length is None else body[length:])
    again = read_request(raw, json_length, (spec,), ()).inputs["T"]
    assert again.shape == array.shape
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_numbers_that_json_lacks_are_null():
    array = np.array([np.nan, np.inf, 1], dtype=np.float32)
    written = orjson.dumps(to_json(array, "FP32"), option=orjson.OPT_SERIALIZE_NUMPY)
    assert written == b"[null,null,1.0]"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["X", "T", "FP32", "BYTES", "INT8", "Y"])
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
SPECS = (TensorSpec("X", "INT8", None), TensorSpec("T", "BYTES", (-1,)))
KEYS = ["name", "datatype", "shape", "data", "parameters"]
entries = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["X", "T", "Y"]) | anything,
        "datatype": st.sampled_from(["INT8", "BYTES"]) | anything,
        "shape": st.lists(st.integers(0, 3), max_size=2) | anything,
        "data": st.lists(st.integers(0, 3) | st.text(max_size=2), max_size=4) | anything,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 9)}) | anything,
    },
)
bodies = st.fixed_dictionaries(
    {"inputs": st.lists(entries, max_size=3) | anything},
    optional={"outputs": st.lists(entries, max_size=2) | anything, "id": anything},
)


@given(bodies | anything, st.binary(max_size=9), st.booleans())
@settings(max_examples=300)
def test_any_request_is_read_or_refused(body, binary, has_header):
    with contextlib.suppress(RequestError):
        read_any(orjson.dumps(body), binary, has_header)


@given(st.binary(max_size=60), st.binary(max_size=9), st.booleans())
def test_any_bytes_are_read_or_refused(text, binary, has_header):
    with pytest.raises(RequestError):
        read_any(text, binary, has_header)


def read_any(text: bytes, binary: bytes, has_header: bool) -> InferenceRequest:
    return read_request(text + binary, str(len(text)) if has_header else None, SPECS, OUTPUTS)
