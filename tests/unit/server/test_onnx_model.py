"""Every type of onnxruntime is served; maps become tables; whose fault a failure is."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelfleet.server.base import RequestError, TensorSpec
from modelfleet.server.datatypes import DATATYPES, from_json
from modelfleet.server.onnx_file import FileFacts, read_facts
from modelfleet.server.onnx_model import NotAModelError, OnnxModel
from modelfleet.server.request_metrics import observe_outputs
from tests.unit.server.onnx_models import ONNX_TYPES, add, double, echo, save

POINTS = np.array([[0, 0], [0, 1], [5, 0], [5, 1], [9, 9], [9, 8]], dtype=np.float32)
VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "UINT8": [0, 2**8 - 1],
    "UINT16": [0, 2**16 - 1],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-(2**7), 2**7 - 1],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**53 + 1],
    "FP16": [0.5, -65504],
    "BF16": [0.5, -2],
    "FP32": [0.1, -3e38],
    "FP64": [0.1, -1e308],
    "BYTES": ["é", "a\0b"],
}


def classifier(labels: list[Any]) -> onnx.ModelProto:
    """The default export of scikit-learn: probabilities as a sequence of maps (ZipMap)."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(POINTS, np.repeat(labels, 2))
    return to_onnx(fitted, POINTS[:1])


def saved(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, str(path))
    return path


def one(model: OnnxModel, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = model.infer(inputs, model.outputs)
    return {spec.name: array for spec, array in zip(model.outputs, arrays, strict=True)}


@pytest.mark.parametrize("name", sorted(DATATYPES))
def test_every_datatype_goes_through_the_model(name, tmp_path):
    model = OnnxModel(echo(tmp_path / "m.onnx", ONNX_TYPES[name]))
    assert model.inputs == (TensorSpec("X", name, (-1,)),)
    assert model.outputs == (TensorSpec("Y", name, (-1,)),)
    sent = from_json(VALUES[name], DATATYPES[name], "X")
    for array in (sent, sent[:0]):
        answer = one(model, {"X": array})["Y"]
        assert answer.dtype == array.dtype
        assert answer.tolist() == array.tolist()


@pytest.mark.parametrize("labels", [["b", "a", "c"], [-7, 5, 30], ["ä", "Z", "z"]])
def test_maps_of_sklearn_become_a_table_with_the_labels_of_the_model(labels, tmp_path):
    model = OnnxModel(saved(classifier(labels), tmp_path / "m.onnx"))
    spec = model.outputs[1]
    assert spec == TensorSpec("output_probability", "FP32", (-1, 3), tuple(sorted(labels)))
    assert spec.to_json()["parameters"] == {"labels": sorted(labels)}
    answer = one(model, {"X": POINTS})
    table = answer["output_probability"]
    assert table.shape == (6, 3)
    assert table.dtype == np.float32
    assert np.allclose(table.sum(axis=1), 1)
    best = [spec.labels[column] for column in table.argmax(axis=1)]
    assert best == answer["output_label"].tolist() == np.repeat(labels, 2).tolist()
    assert model.infer({"X": POINTS[:0]}, [spec])[0].shape == (0, 3)


def test_labels_keep_the_order_of_the_model(tmp_path):
    """onnxruntime sorts a map; other exporters write the classes in the order of the columns."""
    proto = classifier([1, 2, 3])
    zip_map = next(node for node in proto.graph.node if node.op_type == "ZipMap")
    del zip_map.attribute[:]
    zip_map.attribute.append(helper.make_attribute("classlabels_int64s", [30, -1, 2]))
    model = OnnxModel(saved(proto, tmp_path / "m.onnx"))
    assert model.outputs[1].labels == (30, -1, 2)
    best = one(model, {"X": POINTS})["output_probability"].argmax(axis=1)
    assert best.tolist() == [0, 0, 1, 1, 2, 2]


def test_maps_without_known_labels_are_in_ascending_order(tmp_path, monkeypatch):
    monkeypatch.setattr("modelfleet.server.onnx_model.read_facts", lambda _: FileFacts())
    model = OnnxModel(saved(classifier([3, 1, 2]), tmp_path / "m.onnx"))
    spec = model.outputs[1]
    assert (spec.shape, spec.labels) == ((-1, -1), ())
    best = one(model, {"X": POINTS})["output_probability"].argmax(axis=1)
    assert best.tolist() == [2, 2, 0, 0, 1, 1]
    assert model.infer({"X": POINTS[:0]}, [spec])[0].shape == (0, 0)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x3a\xff", b"\x3a\x02\x0a\x05", b"\x3b"])
def test_a_file_of_another_form_has_no_facts(content, tmp_path):
    (tmp_path / "m").write_bytes(content)
    assert read_facts(tmp_path / "m") == FileFacts()


@given(st.binary(max_size=50))
def test_no_file_ends_the_reader(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "m"
    file.write_bytes(b"\x3a" + bytes([len(content)]) + content)
    assert isinstance(read_facts(file), FileFacts)


@pytest.mark.parametrize(
    ("declared", "shape", "shown"), [(None, None, [-1]), ([], (), []), (["N", 2], (-1, 2), [-1, 2])]
)
def test_no_declared_shape_is_not_the_shape_of_a_single_value(tmp_path, declared, shape, shown):
    model = OnnxModel(echo(tmp_path / "m.onnx", TensorProto.FLOAT, declared))
    assert model.inputs[0].shape == shape
    assert model.inputs[0].to_json()["shape"] == shown


def test_a_node_that_refuses_values_is_the_clients_error(tmp_path):
    node = helper.make_node("Gather", ["X", "I"], ["Y"])
    inputs = [("X", TensorProto.FLOAT, [2]), ("I", TensorProto.INT64, [1])]
    file = save(tmp_path / "m.onnx", [node], inputs, [("Y", TensorProto.FLOAT, [1])])
    model = OnnxModel(file)
    asked = {"X": np.ones(2, dtype=np.float32), "I": np.array([7])}
    with pytest.raises(RequestError, match=r"'X' \[2\], 'I' \[1\]: Gather: indices element out"):
        model.infer(asked, model.outputs)


def test_shapes_that_do_not_fit_are_the_clients_error(tmp_path):
    model = OnnxModel(add(tmp_path / "m.onnx"))
    asked = {"A": np.ones((2, 3), np.float32), "B": np.ones((4, 3), np.float32)}
    with pytest.raises(RequestError, match=r"'A' \[2, 3\], 'B' \[4, 3\]: Add: "):
        model.infer(asked, model.outputs)


def test_a_model_that_fails_for_want_of_memory_is_at_fault_itself(tmp_path):
    node = helper.make_node("Expand", ["X", "I"], ["Y"])
    inputs = [("X", TensorProto.FLOAT, ["N"]), ("I", TensorProto.INT64, ["K"])]
    file = save(tmp_path / "m.onnx", [node], inputs, [("Y", TensorProto.FLOAT, None)])
    model = OnnxModel(file)
    asked = {"X": np.ones(1, dtype=np.float32), "I": np.array([1 << 50])}
    with pytest.raises(Exception, match="Failed to allocate") as raised:
        model.infer(asked, model.outputs)
    assert not isinstance(raised.value, RequestError)


def test_a_model_with_other_types_is_refused_with_the_type(tmp_path):
    node = helper.make_node("SequenceConstruct", ["X"], ["Y"])
    graph = helper.make_graph(
        [node],
        "sequence",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [1])],
        [helper.make_tensor_sequence_value_info("Y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(NotAModelError, match=r"'Y' has type seq\(tensor\(float\)\)"):
        OnnxModel(saved(model, tmp_path / "m.onnx"))


def test_only_the_wanted_outputs_are_computed(tmp_path):
    model = OnnxModel(double(tmp_path / "m.onnx"))
    label = next(spec for spec in model.outputs if spec.name == "label")
    (array,) = model.infer({"X": np.array([[1, 3, 2]], dtype=np.float32)}, [label])
    assert array.tolist() == [1]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0,)])
def test_empty_outputs_and_bf16_are_no_classes(shape):
    observe_outputs([(TensorSpec("Y", "FP32", None), np.empty(shape, np.float32))])
    observe_outputs([(TensorSpec("Y", "BF16", None), np.empty(2, np.uint16))])
