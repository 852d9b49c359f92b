"""The model server with a real ONNX model, through its HTTP routes."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from starlette.testclient import TestClient

from modelfleet.server import app
from modelfleet.server.app import ModelServer, ServerConfig
from modelfleet.server.onnx_model import NotAModelError, OnnxModel
from modelfleet.server.open_inference import TensorSpec, inputs_of


def double(path: Path) -> Path:
    """A model that doubles its input and says which column is largest."""
    nodes = [
        helper.make_node("Add", ["X", "X"], ["Y"]),
        helper.make_node("ArgMax", ["X"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "double",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 3])],
        [
            helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def server(tmp_path) -> ModelServer:
    config = ServerConfig("double", "double-v1", double(tmp_path / "m.onnx"), 2, 10_000)
    return ModelServer(config, lambda error: None)


@pytest.fixture
def client(server) -> TestClient:
    asyncio.run(server.load())
    return TestClient(server.app())


def request(data: list, shape: list, **more: object) -> dict:
    return {"inputs": [{"name": "X", "datatype": "FP32", "shape": shape, "data": data, **more}]}


def test_not_ready_before_it_is_loaded(server):
    client = TestClient(server.app())
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert client.post("/v2/models/double/infer", json={}).status_code == 503


def test_metadata_names_inputs_outputs_and_version(client):
    found = client.get("/v2/models/double").json()
    assert found["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 3]}]
    assert [o["name"] for o in found["outputs"]] == ["Y", "label"]
    assert found["versions"] == ["double-v1"]


def test_infer(client):
    body = {**request([1, 2, 3, 6, 5, 4], [2, 3]), "id": "42"}
    answer = client.post("/v2/models/double/infer", json=body).json()
    assert answer["model_version"] == "double-v1"
    assert answer["id"] == "42"
    outputs = {o["name"]: o for o in answer["outputs"]}
    assert outputs["Y"]["data"] == [2, 4, 6, 12, 10, 8]
    assert outputs["label"]["data"] == [2, 0]


def test_waiting_requests_are_not_read_into_numbers(server, client, monkeypatch):
    """A queue of bodies is bytes; of numbers it would be ten times that, and the pod's end."""
    go, read = threading.Event(), []

    def slow(*_: object) -> list:
        go.wait(10)
        return []

    monkeypatch.setattr(server.model, "infer", slow)
    monkeypatch.setattr(app, "inputs_of", lambda *given: read.append(given) or inputs_of(*given))
    body = request([1, 2, 3], [1, 3])
    with client, ThreadPoolExecutor(20) as callers:
        asks = [
            callers.submit(client.post, "/v2/models/double/infer", json=body) for _ in range(20)
        ]
        until = time.monotonic() + 10
        while len(read) < server.config.slots + 1 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(read) == server.config.slots + 1
        go.set()
        assert [ask.result().status_code for ask in asks] == [200] * 20
    assert len(read) == 20


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "'inputs'"),
        ({"inputs": []}, "'X' is missing"),
        (request([1], [1]), "shape must be [-1, 3]"),
        (request([1, 2], [1, 3]), "data must be FP32 values that fill the shape"),
        (request(["a", 2, 3], [1, 3]), "data must be FP32"),
        (request([1, 2, 3], [1, 3], datatype="INT8"), "datatype must be FP32, not INT8"),
        (request([1, 2, 3], "x"), "shape must be a list"),
        (request([1, 2, 3], [-1, 3]), "shape must be a list"),
    ],
)
def test_wrong_request_names_the_field(client, body, words):
    response = client.post("/v2/models/double/infer", json=body)
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_other_names_bodies_and_sizes_are_refused(client):
    assert client.post("/v2/models/other/infer", json={}).status_code == 404
    assert client.post("/v2/models/double/infer", content=b"{").status_code == 400
    large = request([0.0] * 9000, [3000, 3])
    assert client.post("/v2/models/double/infer", json=large).status_code == 413


def test_metrics_hold_latency_and_output_histograms(client):
    client.post("/v2/models/double/infer", json=request([0.1, 0.2, 0.9], [1, 3]))
    text = client.get("/metrics").text
    assert "modelfleet_server_inference_duration_seconds_bucket" in text
    assert 'modelfleet_server_output_classes_total{label="2",output="label"}' in text


@pytest.mark.parametrize("content", [b"", b"no model", b"\x80\x04\x95pickle"])
def test_anything_but_onnx_is_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(NotAModelError, match=r"m\.onnx is not an ONNX model"):
        OnnxModel(path)


def test_failed_load_is_told(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no")
    told: list[NotAModelError] = []
    server = ModelServer(ServerConfig("m", "", tmp_path / "m.onnx", 1, 10), told.append)
    asyncio.run(server.load())
    assert len(told) == 1


def test_bytes_and_integers_keep_their_type():
    spec = (TensorSpec("T", "BYTES", (-1,)), TensorSpec("I", "INT64", (1,)))
    body = {
        "inputs": [
            {"name": "T", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
            {"name": "I", "datatype": "INT64", "shape": [1], "data": [2**53 + 1]},
        ]
    }
    found = inputs_of(body, spec)
    assert found["T"].tolist() == ["a", "b"]
    assert found["I"].dtype == np.int64
    assert found["I"][0] == 2**53 + 1
