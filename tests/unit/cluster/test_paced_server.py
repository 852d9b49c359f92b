"""The paced server answers what the shipped one does: the demo and the promises stand on it."""

import asyncio

from starlette.testclient import TestClient

from modelfleet.server.app import ModelServer, ServerConfig
from modelfleet.server.onnx_model import OnnxModel
from tests.cluster import paced_server
from tests.unit.server.onnx_models import double, request


def test_it_answers_as_the_shipped_server(tmp_path, monkeypatch):
    config = ServerConfig("double", "double-v1", double(tmp_path / "m.onnx"), 2, 10_000, 20_000)
    answers = []
    for infer in (OnnxModel.infer, paced_server.infer):
        monkeypatch.setattr(OnnxModel, "infer", infer)
        server = ModelServer(config, lambda error: None)
        asyncio.run(server.load())
        with TestClient(server.app()) as client:
            answers.append(client.post("/v2/models/double/infer", json=request([1, 2, 3], [1, 3])))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
