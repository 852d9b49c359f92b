"""The model server with a real ONNX model, through its HTTP routes."""

import asyncio
import dataclasses
import gzip
import json
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from prometheus_client import REGISTRY
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from starlette.testclient import TestClient

from modelfleet.catalog.probes.open_inference_probe import generate, judge
from modelfleet.server import app
from modelfleet.server.app import ModelServer, ServerConfig
from modelfleet.server.datatypes import DATATYPES
from modelfleet.server.onnx_model import NotAModelError, OnnxModel
from modelfleet.server.open_inference import read_request
from tests.unit.server.onnx_models import ONNX_TYPES, add, double, echo, request

INFER = "/v2/models/double/infer"
PACKERS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.fixture
def server(tmp_path) -> ModelServer:
    file = double(tmp_path / "m.onnx")
    config = ServerConfig("double", "double-v1", file, 2, 10_000, 20_000)
    return ModelServer(config, lambda error: None)


@pytest.fixture
def client(server) -> TestClient:
    asyncio.run(server.load())
    return TestClient(server.app())


@pytest.fixture
def answers_500(server) -> TestClient:
    """A client that gets the answer to a failure instead of the failure."""
    asyncio.run(server.load())
    return TestClient(server.app(), raise_server_exceptions=False)


def counted(code: int) -> float:
    value = REGISTRY.get_sample_value("modelfleet_server_requests_total", {"code": str(code)})
    return value or 0.0


def test_not_ready_before_it_is_loaded(server):
    client = TestClient(server.app())
    assert client.get("/v2/health/live").json() == {"live": True}
    for path in ("/v2/health/ready", "/v2/models/double", "/v2/models/double/ready"):
        assert client.get(path).status_code == 503
        assert client.get(path).json() == {"error": "the model is being loaded"}
    answer = client.post(INFER, json={})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_ready_and_metadata_are_as_the_specification_writes_them(client):
    assert client.get("/v2/health/ready").json() == {"live": True, "ready": True}
    assert client.get("/v2/models/double/ready").json() == {"name": "double", "ready": True}
    for path in ("/v2", "/v2/"):
        server = client.get(path).json()
        assert server["extensions"] == ["binary_tensor_data"]
        assert set(server) == {"name", "version", "extensions"}


def test_metadata_names_inputs_outputs_and_version(client):
    found = client.get("/v2/models/double").json()
    assert found["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 3]}]
    assert [o["name"] for o in found["outputs"]] == ["Y", "label"]
    assert found["versions"] == ["double-v1"]
    assert found["platform"] == "onnx_onnxv1"


@pytest.mark.parametrize("path", ["", "/ready", "/infer"])
def test_the_version_that_is_served_may_be_named_and_no_other(client, path):
    def asked(version: str) -> Any:
        url = f"/v2/models/double/versions/{version}{path}"
        body = request([1, 2, 3], [1, 3])
        return client.post(url, json=body) if path == "/infer" else client.get(url)

    assert asked("double-v1").status_code == 200
    assert asked("double-v1").json() == (
        client.get(f"/v2/models/double{path}").json()
        if path != "/infer"
        else client.post(INFER, json=request([1, 2, 3], [1, 3])).json()
    )
    for other in ("double-v2", "1"):
        assert asked(other).status_code == 404
        assert "this is 'double-v1'" in asked(other).json()["error"]


def test_a_server_without_version_names_none(server):
    server.config = dataclasses.replace(server.config, version="")
    asyncio.run(server.load())
    client = TestClient(server.app())
    assert "versions" not in client.get("/v2/models/double").json()
    answer = client.post(INFER, json=request([1, 2, 3], [1, 3])).json()
    assert "model_version" not in answer
    assert client.get("/v2/models/double/versions/1").status_code == 404


def test_infer(client):
    body = {**request([1, 2, 3, 6, 5, 4], [2, 3]), "id": "42"}
    answer = client.post(INFER, json=body).json()
    assert answer["model_version"] == "double-v1"
    assert answer["id"] == "42"
    outputs = {o["name"]: o for o in answer["outputs"]}
    assert outputs["Y"]["data"] == [2, 4, 6, 12, 10, 8]
    assert outputs["label"]["data"] == [2, 0]


def test_waiting_requests_are_not_read_into_numbers(server, client, monkeypatch):
    """A queue of bodies is bytes; of numbers it would be ten times that, and the pod's end."""
    go, read, infer = threading.Event(), [], server.model.infer

    def slow(*given: Any) -> list:
        go.wait(10)
        return infer(*given)

    monkeypatch.setattr(server.model, "infer", slow)
    monkeypatch.setattr(
        app, "read_request", lambda *given: read.append(given) or read_request(*given)
    )
    body = request([1, 2, 3], [1, 3])
    with client, ThreadPoolExecutor(20) as callers:
        asks = [callers.submit(client.post, INFER, json=body) for _ in range(20)]
        until = time.monotonic() + 10
        while len(read) < server.config.slots + 1 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(read) == server.config.slots + 1
        go.set()
        assert [ask.result().status_code for ask in asks] == [200] * 20
    assert len(read) == 20


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/double/versions/x/infer", 404),
        ("GET", "/v2/models/double/infer", 405),
        ("GET", "/v2/models/other", 404),
        ("POST", "/v2/models/double", 405),
        ("GET", "/", 404),
        ("GET", "/v2/models/double/", 404),
        ("GET", "/v2/models/double/versions", 404),
        ("POST", "/v2/nothing/infer", 404),
    ],
)
def test_paths_and_methods_without_an_answer_are_json(client, method, path, code):
    before = counted(code)
    answer = client.request(method, path, json={}, follow_redirects=False)
    assert answer.status_code == code
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]
    assert counted(code) - before == path.endswith("/infer")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"inputs":[{"name":[]}]}', b'{"inputs":[{"name":"Z"}]}'],
)
def test_a_wrong_request_is_json_and_counted(client, content):
    before = counted(400)
    answer = client.post(INFER, content=content)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]
    assert counted(400) == before + 1


def test_a_fault_of_the_model_is_json_and_counted(answers_500, server, monkeypatch):
    def fails(*_: object) -> list:
        raise MemoryError

    monkeypatch.setattr(server.model, "infer", fails)
    before = counted(500)
    answer = answers_500.post(INFER, json=request([1, 2, 3], [1, 3]))
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server or the model failed: MemoryError"}
    assert counted(500) == before + 1


def test_shapes_that_only_the_model_refuses_are_named(tmp_path):
    config = ServerConfig("add", "", add(tmp_path / "m.onnx"), 1, 10_000, 10_000)
    server = ModelServer(config, lambda error: None)
    asyncio.run(server.load())
    entry = {"datatype": "FP32", "shape": [2, 3], "data": [0] * 6}
    more = {"datatype": "FP32", "shape": [4, 3], "data": [0] * 12}
    body = {"inputs": [{"name": "A", **entry}, {"name": "B", **more}]}
    answer = TestClient(server.app()).post("/v2/models/add/infer", json=body)
    assert answer.status_code == 400
    assert "'A' [2, 3], 'B' [4, 3]: Add:" in answer.json()["error"]
    assert "onnxruntime" not in answer.json()["error"]


def test_selected_outputs_come_in_the_order_of_the_request(client):
    body = {**request([1, 2, 3], [1, 3]), "outputs": [{"name": "label"}, {"name": "Y"}]}
    answer = client.post(INFER, json=body).json()
    assert [output["name"] for output in answer["outputs"]] == ["label", "Y"]
    body["outputs"] = [{"name": "label"}]
    answer = client.post(INFER, json=body).json()
    assert [output["data"] for output in answer["outputs"]] == [[2]]


def test_binary_tensors_as_the_client_of_triton_sends_them(client):
    """No outputs and binary_data_output is what `tritonclient.http` sends by default."""
    entry = {"name": "X", "shape": [1, 3], "datatype": "FP32"}
    head = json.dumps(
        {
            "id": "9",
            "inputs": [{**entry, "parameters": {"binary_data_size": 12}}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    raw = np.array([1, 3, 2], dtype="<f4").tobytes()
    length = {"Inference-Header-Content-Length": str(len(head))}
    for encoding, pack in PACKERS.items():
        sent = pack(head + raw)
        answer = client.post(INFER, content=sent, headers={"Content-Encoding": encoding, **length})
        assert answer.headers["content-type"] == "application/octet-stream"
        end = int(answer.headers["inference-header-content-length"])
        assert json.loads(answer.content[:end])["id"] == "9"
        assert np.frombuffer(answer.content[end : end + 12], "<f4").tolist() == [2, 6, 4]
        assert np.frombuffer(answer.content[end + 12 :], "<i8").tolist() == [1]


def test_a_classifier_as_sklearn_exports_it_is_served(tmp_path):
    points = np.array([[0, 0], [9, 9], [0, 9]], dtype=np.float32)
    fitted = RandomForestClassifier(5, random_state=1).fit(points, ["no", "yes", "maybe"])
    file = tmp_path / "m.onnx"
    onnx.save(to_onnx(fitted, points[:1]), str(file))
    server = ModelServer(ServerConfig("m", "m-v1", file, 1, 10_000, 10_000), lambda error: None)
    asyncio.run(server.load())
    client = TestClient(server.app())
    body = request(points.tolist(), [3, 2])
    label, scores = client.post("/v2/models/m/infer", json=body).json()["outputs"]
    assert label["data"] == fitted.predict(points).tolist()
    assert scores["shape"] == [3, 3]
    assert np.allclose(scores["data"], fitted.predict_proba(points).reshape(-1))
    described = client.get("/v2/models/m").json()["outputs"][1]
    assert described["shape"] == [-1, 3]
    assert described["parameters"] == {"labels": fitted.classes_.tolist()}


@pytest.mark.parametrize("name", sorted(DATATYPES))
def test_the_generated_probe_finds_a_right_replica_for_every_datatype(tmp_path, name):
    file = echo(tmp_path / "m.onnx", ONNX_TYPES[name], ["N", 3])
    server = ModelServer(ServerConfig("m", "", file, 1, 10_000, 10_000), lambda error: None)
    asyncio.run(server.load())
    client = TestClient(server.app())
    body = generate(client.get("/v2/models/m").json())
    answer = client.post("/v2/models/m/infer", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == body["inputs"][0]["data"]
    assert judge(answer.json()).kind == "Right"


def test_metrics_hold_latency_and_output_histograms(client):
    client.post(INFER, json=request([0.1, 0.2, 0.9], [1, 3]))
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
    server = ModelServer(ServerConfig("m", "", tmp_path / "m.onnx", 1, 10, 10), told.append)
    asyncio.run(server.load())
    assert len(told) == 1
