"""Any model that onnxruntime can run: the own server serves it so, and the probe lets it in."""

import asyncio
import json
import math
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelfleet.catalog.probes.open_inference_probe import generate
from modelfleet.gateway.admission.admission import Admission
from modelfleet.server import open_inference
from modelfleet.server.onnx_model import OnnxModel
from modelfleet.server.open_inference import BINARY_HEADER
from tests.cluster.locks import exclusive
from tests.gateway.envoy_process import BUILD, install
from tests.properties.drawn_models import RANDOM, SEQUENCES, DrawnModel, built, models, session_of
from tests.properties.model_replicas import Replicas, tensors

DRAWN = int(os.environ.get("MODELFLEET_DRAWN_MODELS", "30"))
COUNTED: Counter[str] = Counter()
NUMPY = {
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BOOL": "bool",
}
VALUES = {"BOOL": [True, False], "BYTES": ["", "a", "ü", "1.5"]}
NUMBERS = [0, 1, 2, 3, 7, 100]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """One server for all models of this file."""
    made = Replicas(tmp_path_factory.mktemp("models"))
    yield made
    made.close()
    print(f"models: {dict(COUNTED)}")


def own_result(session: Any, model: OnnxModel, request: dict[str, Any]) -> list[Any] | None:
    """What onnxruntime says to the request; None where it refuses to run it.

    Inputs of BF16 are left to the tests of the server: numpy cannot hand them to onnxruntime.
    """
    feeds: dict[str, Any] = {}
    for entry in request["inputs"]:
        if entry["datatype"] == "BYTES":
            array = np.empty(len(entry["data"]), dtype=object)
            array[:] = entry["data"]
        else:
            array = np.array(entry["data"], dtype=NUMPY[entry["datatype"]])
        feeds[entry["name"]] = array.reshape(entry["shape"])
    try:
        return list(session.run([spec.name for spec in model.outputs], feeds))
    except Exception:  # noqa: BLE001 - onnxruntime raises classes of its own for each kind
        return None


def is_plain(drawn: DrawnModel, model: OnnxModel) -> bool:
    """Whether numpy and onnxruntime alone can say what is right."""
    specs = (*model.inputs, *model.outputs)
    kinds = {kind for kind, _ in drawn.nodes}
    return not kinds & RANDOM and all(spec.datatype != "BF16" for spec in specs)


def refused_by_design(drawn: DrawnModel, words: str) -> bool:
    """Whether the protocol or numpy has no form for what the model gives."""
    kinds = {kind for kind, _ in drawn.nodes}
    if kinds & SEQUENCES:
        return "seq(tensor(" in words
    return "BF16 beside strings or maps" in words


def is_finite(result: Any) -> bool:
    if isinstance(result, list):  # maps
        return all(math.isfinite(value) for row in result for value in row.values())
    return bool(result.dtype.kind != "f" or np.isfinite(result).all())


def as_bytes(result: Any) -> bytes:
    """The result of onnxruntime as the protocol writes it."""
    if isinstance(result, list):
        return b"".join(struct.pack("<f", value) for row in result for value in row.values())
    if result.dtype.kind in "OU":
        texts = [str(text).encode() for text in result.reshape(-1)]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return bytes(np.ascontiguousarray(result).tobytes())


def drawn_request(model: OnnxModel, data: st.DataObject) -> dict[str, Any]:
    """A valid request: any size where the model leaves it free, any values of the type."""
    inputs = []
    for spec in model.inputs:
        shape = [2] if spec.shape is None else list(spec.shape)
        shape = [data.draw(st.integers(0, 4)) if size < 0 else size for size in shape]
        values = data.draw(
            st.lists(st.sampled_from(VALUES.get(spec.datatype, NUMBERS)), min_size=1, max_size=5)
        )
        count = math.prod(shape)
        inputs.append(
            {
                "name": spec.name,
                "datatype": spec.datatype,
                "shape": shape,
                "data": (values * count)[:count],
            }
        )
    return {"inputs": inputs}


def check_inference(replicas: Replicas, request: dict[str, Any], expected: list[Any] | None) -> str:
    """The server's answer is onnxruntime's own; where that has none, it is an error in JSON."""
    asked = {**request, "parameters": {"binary_data_output": True}}
    body = json.dumps(asked).encode()
    code, headers, answer = asyncio.run(replicas.call("/infer", body))
    if expected is None:
        assert code in {400, 500}, answer[:300]
        assert json.loads(answer)["error"]
        return f"inference refused with {code}"
    assert code == 200, answer[:300]
    if not expected:
        return "inference without outputs"
    found = tensors(answer, int(headers[BINARY_HEADER]))
    assert [raw for _, raw in found] == [as_bytes(result) for result in expected]
    shapes = [list(np.shape(result)) for result in expected if not isinstance(result, list)]
    maps = [isinstance(result, list) for result in expected]
    kept = [out["shape"] for (out, _), is_map in zip(found, maps, strict=True) if not is_map]
    assert kept == shapes
    return "inference equal"


@settings(max_examples=DRAWN, suppress_health_check=list(HealthCheck), deadline=None)
@given(drawn=models(), data=st.data())
@pytest.mark.timeout(3600)
def test_a_model_that_onnxruntime_can_run_is_served_and_let_in(replicas, drawn, data):
    content = built(drawn)
    session = session_of(content)
    if session is None:
        COUNTED["not for onnxruntime"] += 1
        return
    if not replicas.load(content):
        assert refused_by_design(drawn, replicas.failures[0]), replicas.failures
        COUNTED["refused with words"] += 1
        return
    code, _, metadata = asyncio.run(replicas.call())
    assert code == 200
    described = json.loads(metadata)
    model = replicas.model
    assert [entry["name"] for entry in described["inputs"]] == [s.name for s in model.inputs]
    outcomes, admitted = asyncio.run(replicas.admitted())
    COUNTED["admitted"] += 1
    COUNTED[f"probe: {outcomes[0].kind}"] += 1
    assert set(admitted) == set(replicas.endpoints), outcomes
    if not is_plain(drawn, model):
        return
    probe = generate(described)
    expected = None if probe is None else own_result(session, model, probe)
    if expected is not None and all(map(is_finite, expected)):
        assert outcomes[0].kind in {"Right", "Unfit"}
        is_large = outcomes[0].reason.startswith("the answer is too large")
        assert outcomes[0].kind == "Right" or is_large, outcomes
        COUNTED["probe as onnxruntime"] += 1
    request = drawn_request(model, data)
    COUNTED[check_inference(replicas, request, own_result(session, model, request))] += 1


@pytest.fixture
def detector() -> bytes:
    """A real detector for pictures of any size, from its wheel."""
    requirement = BUILD.parent / "requirements/detector.txt"
    name, _, version = requirement.read_text().split()[0].partition("==")
    target = BUILD / f"{name}-{version}"
    with exclusive(BUILD / "detector.lock"):
        if not list(target.glob("*/*.onnx")):
            try:
                install(requirement, target)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"the wheel of the detector cannot be had: {error}")
    [file] = target.glob("*/*.onnx")
    return file.read_bytes()


def test_a_real_detector_of_unknown_sizes_is_served_and_let_in(replicas, detector):
    assert replicas.load(detector)
    outcomes, admitted = asyncio.run(replicas.admitted())
    assert {outcome.kind for outcome in outcomes} == {"Right"}
    assert admitted == tuple(sorted(replicas.endpoints))
    [spec] = replicas.model.inputs
    picture = np.random.default_rng(0).random((1, 3, 320, 320), dtype=np.float32)
    data = picture.reshape(-1).astype(float).tolist()
    entry = {"name": spec.name, "datatype": spec.datatype, "shape": list(picture.shape)}
    request = {"inputs": [{**entry, "data": data}]}
    expected = own_result(session_of(detector), replicas.model, request)
    assert check_inference(replicas, request, expected) == "inference equal"


NOT_FINITE = DrawnModel((("0 / 0", 1),), (("N", 4),), ("X", "Y", "Z"))
WHOLE = DrawnModel((("Identity", 1),), ((1, 4),), ("X", "Y", "Z"))


class StrictAdmission(Admission):
    """Takes every answer that is not finite for a broken replica, as it once did."""

    async def _is_answered_elsewhere(self, *_: Any) -> bool:
        return True


def test_an_admission_that_keeps_out_would_be_found(replicas):
    assert replicas.load(built(NOT_FINITE))
    assert asyncio.run(replicas.admitted())[1] == tuple(sorted(replicas.endpoints))
    assert asyncio.run(replicas.admitted(StrictAdmission))[1] == ()


def test_a_server_that_loses_a_bit_would_be_found(replicas, monkeypatch):
    def rounded(array: Any, datatype: str) -> bytes:
        return bytes(np.round(array, 1).tobytes())

    content = built(WHOLE)
    assert replicas.load(content)
    values = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [0.25, 1, 2, 3]}
    expected = own_result(session_of(content), replicas.model, {"inputs": [values]})
    assert check_inference(replicas, {"inputs": [values]}, expected) == "inference equal"
    monkeypatch.setattr(open_inference, "to_binary", rounded)
    with pytest.raises(AssertionError):
        check_inference(replicas, {"inputs": [values]}, expected)
