"""ONNX models of many kinds, drawn: types, shapes, names, operators, several inputs and outputs.

Each model is valid for onnxruntime or is not taken (`is_loadable`). What it computes is of no
interest; that the own server and the probe treat it as onnxruntime does is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
INTEGERS = (
    *(TensorProto.INT64, TensorProto.INT32, TensorProto.INT8, TensorProto.INT16),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
)
OTHERS = (TensorProto.BOOL, TensorProto.STRING, TensorProto.BFLOAT16)
EVERY = (*FLOATS, *INTEGERS, *OTHERS)
SIZES = (None, "N", "M", "batch size", 1, 2, 3, 4, 0, 32)
SHAPES = (
    *((), ("N",), ("N", 4), (1,), (3,), (None,), (0,), (2, 3), ("N", "N"), ("N", "M"), (4, 4)),
    *((1, 3, None, None), ("N", 3, 32, 32), (0, 3), (1, 2, 3), ("N", 2, "M", 4, 1)),
)
NAMES = (
    *(
        "X",
        "input.1",
        "a b",
        "serving_default_x:0",
        "é",
        "x/y",
        '"q"',
        "'",
        "\\",
        "%2F",
        "名",
        "a\tb",
    ),
    *("", "y" * 300, "inputs", "data", "0", "-", "{}", "model/dense/BiasAdd:0"),
)
BFLOAT16 = 16


@dataclass(frozen=True)
class DrawnModel:
    """One model: its operators, one for each input, and how it is declared."""

    nodes: tuple[tuple[str, int], ...]
    """Name of an operator in `OPERATORS`, and the type of its input."""
    shapes: tuple[tuple[Any, ...] | None, ...]
    names: tuple[str, ...]
    has_output_shapes: bool = False
    has_default: bool = False


Nodes = list[Any]
Weights = Mapping[str, Any]


def _node(kind: str, *inputs: str, out: str = "out", **more: Any) -> Any:
    return helper.make_node(kind, list(inputs), [out], **more)


def _one(kind: str, *weights: tuple[str, Any], **more: Any) -> Callable[[int], Any]:
    """One operator on `in` and constants; the type of the output is that of the input."""

    def made(number: int) -> Any:
        return [_node(kind, "in", *(name for name, _ in weights), **more)], dict(weights), number

    return made


def _typed(out: int, kind: str, *weights: tuple[str, Any], **more: Any) -> Callable[[int], Any]:
    """As `_one`, with an output of another type."""
    return lambda number: (*_one(kind, *weights, **more)(number)[:2], out)


def _share(number: int) -> Any:
    """x / sum(x): NaN for zeros."""
    nodes = [_node("ReduceSum", "in", out="sum", keepdims=0), _node("Div", "in", "sum")]
    return nodes, {}, number


def _loop(number: int) -> Any:
    body = helper.make_graph(
        [_node("Identity", "go", out="go on"), _node("Add", "v", "v", out="v out")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", number, None),
        ],
        [
            helper.make_tensor_value_info("go on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v out", number, None),
        ],
    )
    weights = {"times": np.array(3, np.int64), "yes": np.array(True)}
    return [_node("Loop", "times", "yes", "in", body=body)], weights, number


def _branch(number: int) -> Any:
    """An If whose branches have outputs of other ranks."""

    def graph(name: str, *nodes: Any) -> Any:
        value = helper.make_tensor_value_info(f"{name} out", number, None)
        return helper.make_graph(list(nodes), name, [], [value])

    shape = numpy_helper.from_array(np.array([-1], np.int64), "flat")
    one = graph("one", _node("Identity", "in", out="one out"))
    two = graph(
        "two",
        helper.make_node("Constant", [], ["flat"], value=shape),
        _node("Reshape", "in", "flat", out="two out"),
    )
    nodes = [
        _node("Size", "in", out="size"),
        _node("Greater", "size", "four", out="is large"),
        _node("If", "is large", then_branch=one, else_branch=two),
    ]
    return nodes, {"four": np.array(4, np.int64)}, number


def _large(number: int) -> Any:
    """An answer beyond what a probe reads: two million numbers."""
    nodes = [
        _node("ReduceMean", "in", out="mean", keepdims=0),
        _node("Expand", "mean", "size"),
    ]
    return nodes, {"size": np.array([2_000_000])}, number


def _boxes(number: int) -> Any:
    """A detector's end: boxes found in as many candidates as there are numbers."""
    nodes = [
        _node("Reshape", "in", "boxes", out="b"),
        _node("Slice", "b", "zero", "four", "axis", out="b4"),
        _node("ReduceMean", "b4", out="s", axes=[2], keepdims=1),
        _node("Transpose", "s", out="scores", perm=[0, 2, 1]),
        _node("NonMaxSuppression", "b4", "scores", "ten", "half", "low"),
    ]
    weights = {
        "boxes": np.array([1, -1, 4]),
        "zero": np.array([0]),
        "four": np.array([4]),
        "axis": np.array([2]),
        "ten": np.array([10]),
        "half": np.array([0.5], np.float32),
        "low": np.array([0.9], np.float32),
    }
    return nodes, weights, TensorProto.INT64


def _resize(number: int) -> Any:
    nodes = [_node("Resize", "in", "", "scales", mode="nearest")]
    return nodes, {"scales": np.array([1, 1, 2, 2], np.float32)}, number


def _top(number: int) -> Any:
    nodes = [helper.make_node("TopK", ["in", "one"], ["out", "places"], axis=-1)]
    return nodes, {"one": np.array([1])}, number


def _zipmap(number: int) -> Any:
    """Scores by label, as skl2onnx writes them by default."""
    labels = {"classlabels_strings": ["a", "b", "ü", ""]}
    return [_node("ZipMap", "in", domain="ai.onnx.ml", **labels)], {}, None


def _sequence(number: int) -> Any:
    """A sequence of tensors: the protocol has no datatype for it."""
    return [_node("SplitToSequence", "in", axis=0)], {}, (number,)


def _matmul(number: int) -> Any:
    return [_node("Transpose", "in", out="t"), _node("MatMul", "in", "t")], {}, number


OPERATORS: Mapping[str, tuple[tuple[int, ...], Callable[[int], Any]]] = {
    "Identity": (EVERY, _one("Identity")),
    "Shape": (EVERY, _typed(TensorProto.INT64, "Shape")),
    "Size": (EVERY, _typed(TensorProto.INT64, "Size")),
    "NonZero": ((*FLOATS[:1], *INTEGERS, TensorProto.BOOL), _typed(TensorProto.INT64, "NonZero")),
    "share": (FLOATS[:2], _share),
    "Log": (FLOATS, _one("Log")),
    "Exp of exp": (FLOATS, lambda n: ([_node("Exp", "in", out="e"), _node("Exp", "e")], {}, n)),
    "0 / 0": (
        FLOATS[:2],
        lambda n: ([_node("Sub", "in", "in", out="z"), _node("Div", "z", "z")], {}, n),
    ),
    "Sqrt of -x": (FLOATS, lambda n: ([_node("Neg", "in", out="n"), _node("Sqrt", "n")], {}, n)),
    "x x^T": (FLOATS[:2], _matmul),
    "MatMul": (FLOATS[:1], _one("MatMul", ("w", np.ones((4, 3), np.float32)))),
    "MatMul, two rows": (FLOATS[:1], _one("MatMul", ("w", np.ones((2, 3), np.float32)))),
    "Reshape": (EVERY[:-1], _one("Reshape", ("flat", np.array([-1])))),
    "Reshape by two": (EVERY[:-1], _one("Reshape", ("two", np.array([-1, 2])))),
    "Flatten": (FLOATS, _one("Flatten")),
    "Gather": (EVERY[:-1], _one("Gather", ("third", np.array([2])), axis=0)),
    "Gather of ids": (
        INTEGERS[:2],
        lambda n: ([_node("Gather", "table", "in")], {"table": np.eye(3, dtype=np.float32)}, 1),
    ),
    "TopK": (FLOATS[:2], _top),
    "Resize": (FLOATS[:1], _resize),
    "Conv": (FLOATS[:1], _one("Conv", ("k", np.ones((4, 3, 3, 3), np.float32)), strides=[2, 2])),
    "NonMaxSuppression": (FLOATS[:1], _boxes),
    "Loop": (FLOATS[:2], _loop),
    "If": (FLOATS[:2], _branch),
    "large": (FLOATS[:1], _large),
    "ZipMap": (FLOATS[:1], _zipmap),
    "SplitToSequence": (FLOATS[:2], _sequence),
    "Softmax": (FLOATS, _one("Softmax", axis=-1)),
    "ArgMax": (FLOATS[:2], _typed(TensorProto.INT64, "ArgMax", axis=-1, keepdims=0)),
    "Not": ((TensorProto.BOOL,), _one("Not")),
    "Compress": (EVERY[:-1], _one("Compress", ("mask", np.array([True])), axis=0)),
    "Unique": (FLOATS[:2], _one("Unique")),
    "to text": (
        (*FLOATS[:2], *INTEGERS[:2]),
        _typed(TensorProto.STRING, "Cast", to=TensorProto.STRING),
    ),
    "to BF16": (FLOATS[:1], _typed(BFLOAT16, "Cast", to=TensorProto.BFLOAT16)),
    "to FP16": (FLOATS[:2], _typed(TensorProto.FLOAT16, "Cast", to=TensorProto.FLOAT16)),
    "to UINT8": (FLOATS[:1], _typed(TensorProto.UINT8, "Cast", to=TensorProto.UINT8)),
    "from text": (
        (TensorProto.STRING,),
        _typed(TensorProto.FLOAT, "Cast", to=TensorProto.FLOAT),
    ),
    "upper case": ((TensorProto.STRING,), _one("StringNormalizer", case_change_action="UPPER")),
    "RandomUniformLike": (FLOATS[:2], _one("RandomUniformLike")),
    "Dropout": (FLOATS[:1], _one("Dropout")),
    "CumSum": (FLOATS[:2], _one("CumSum", ("axis", np.array(0)))),
    "OneHot": (
        INTEGERS[:1],
        lambda n: (
            [_node("OneHot", "in", "depth", "values")],
            {"depth": np.array(3), "values": np.array([0, 1], np.float32)},
            1,
        ),
    ),
    "Range": (
        INTEGERS[:2],
        lambda n: ([_node("Range", "in", "in", "in")], {}, n),
    ),
    "Expand": (EVERY[:3], _one("Expand", ("to", np.array([2, 1])))),
    "no use of it": (
        EVERY,
        lambda n: ([_node("Identity", "c")], {"c": np.array([1.5], np.float32)}, 1),
    ),
}
RANDOM = frozenset({"RandomUniformLike"})
SEQUENCES = frozenset({"SplitToSequence"})

_SHAPES = st.one_of(
    st.none(),
    st.sampled_from(SHAPES),
    st.lists(st.sampled_from(SIZES), max_size=5).map(tuple),
)


@st.composite
def models(draw: Callable[[Any], Any]) -> DrawnModel:
    """Any model of up to three inputs; one without inputs has a constant output."""
    kinds = draw(st.lists(st.sampled_from(sorted(OPERATORS)), max_size=3))
    return DrawnModel(
        tuple((kind, draw(st.sampled_from(OPERATORS[kind][0]))) for kind in kinds),
        tuple(draw(_SHAPES) for _ in kinds),
        tuple(draw(st.lists(st.sampled_from(NAMES[:10] * 2 + NAMES), min_size=3, max_size=3))),
        draw(st.booleans()),
        draw(st.booleans()),
    )


def built(drawn: DrawnModel) -> bytes:
    """The file of the model; every node of an input has names of its own."""
    nodes, weights, inputs, outputs = [], {}, [], []
    if not drawn.nodes:
        nodes.append(_node("Constant", out="constant", value_floats=[1.5, 2.5]))
        outputs.append(_output("constant", TensorProto.FLOAT))
    for place, ((kind, number), shape) in enumerate(zip(drawn.nodes, drawn.shapes, strict=True)):
        name = drawn.names[place] + ("" if place == 0 else str(place))
        made, constants, out = OPERATORS[kind][1](number)
        renamed = {"in": name, "out": f"{name} out"}
        nodes.extend(_renamed(node, place, renamed) for node in made)
        weights |= {f"{key}~{place}": value for key, value in constants.items()}
        inputs.append(helper.make_tensor_value_info(name, number, shape))
        outputs.append(_output(f"{name} out", out))
    if drawn.has_default:
        inputs.append(helper.make_tensor_value_info("optional", TensorProto.FLOAT, [2]))
        weights["optional"] = np.ones(2, np.float32)
    graph = helper.make_graph(
        nodes,
        "drawn",
        inputs,
        outputs,
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if drawn.has_output_shapes:
        model = _inferred(model)
    return bytes(model.SerializeToString())


def _inferred(model: Any) -> Any:
    """With the shapes that onnx knows for the outputs."""
    try:
        return onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError:
        return model


def _output(name: str, number: int | tuple[int] | None) -> Any:
    if isinstance(number, tuple):
        return helper.make_tensor_sequence_value_info(name, number[0], None)
    if number is not None:
        return helper.make_tensor_value_info(name, number, None)
    scores = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    table = helper.make_map_type_proto(TensorProto.STRING, scores)
    return helper.make_value_info(name, helper.make_sequence_type_proto(table))


def _renamed(node: Any, place: int, renamed: Mapping[str, str]) -> Any:
    """A node whose own names are those of its place in the model, also within branches."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for names in (copy.input, copy.output):
        changed = [renamed.get(name) or (name and f"{name}~{place}") for name in names]
        del names[:]
        names.extend(changed)
    for attribute in copy.attribute:
        for inner in attribute.g.node:
            for names in (inner.input, inner.output):
                changed = [renamed.get(name, name) for name in names]
                del names[:]
                names.extend(changed)
    return copy


def session_of(model: bytes) -> Any | None:
    """onnxruntime's own session; None where it does not take the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - onnxruntime raises classes of its own for each kind
        return None
