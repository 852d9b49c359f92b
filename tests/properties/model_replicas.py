"""Two replicas of one model behind real HTTP, and their admission as the agent does it.

The application and the prober are the real ones; only the wait between two probes is left out.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from modelfleet.catalog.probes import ProbeOutcome, ProbeSpec
from modelfleet.facts.traffic import ProbeResult
from modelfleet.gateway.admission.admission import Admission
from modelfleet.gateway.admission.http_probe import HttpProber
from modelfleet.server.app import ModelServer, ServerConfig
from modelfleet.server.onnx_model import OnnxModel
from tests.gateway.rig import until

NAME = "drawn"
VERSION = ("ns", f"{NAME}-v1")
SPEC = ProbeSpec("OpenInferenceV2", NAME, timeout_seconds=30.0)
PROBES = 12
"""Probes of both replicas after which a replica that is not admitted counts as kept out."""
MEBIBYTE = 2**20


class Replicas:
    """One server on two ports; `load` gives it another model."""

    def __init__(self, folder: Path) -> None:
        """The ports are open from now on; a request waits until the thread serves."""
        self._file = folder / "model.onnx"
        self._app: Any = None
        self._model: OnnxModel | None = None
        self.failures: list[str] = []
        config = uvicorn.Config(
            self._serve,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.endpoints = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        self._thread = threading.Thread(target=self._server.run, args=(sockets,))
        self._thread.start()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    def load(self, model: bytes) -> bool:
        """Serve this model; False where the server refuses its file."""
        self._file.write_bytes(model)
        self.failures.clear()
        config = ServerConfig(NAME, "", self._file, 2, 64 * MEBIBYTE, 256 * MEBIBYTE)
        server = ModelServer(config, lambda error: self.failures.append(str(error)))
        asyncio.run(server.load())
        self._app, self._model = server.app(), server.model
        return not self.failures

    @property
    def model(self) -> OnnxModel:
        """The model that is served."""
        assert self._model is not None
        return self._model

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join()

    async def call(
        self, path: str = "", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one request below the model's path."""
        url = f"http://{self.endpoints[0]}/v2/models/{NAME}{path}"
        method = "GET" if body is None else "POST"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=headers) as response,
        ):
            return response.status, response.headers, await response.read()

    async def admitted(
        self, made: type[Admission] = Admission
    ) -> tuple[list[ProbeOutcome], tuple[str, ...]]:
        """What the probes found, and the endpoints that get requests in the end.

        One comes after the other: the second one is compared with the first.
        """
        async with aiohttp.ClientSession() as session:
            seen = _Seen(HttpProber(session))
            admission = made(seen, _NoReporter(), _at_once)
            admission.begin()
            for number in (1, 2):
                await _settled(admission, seen, self.endpoints[:number])
            admitted = admission.admitted(VERSION)
            await admission.close()
            return seen.outcomes, admitted


class _Seen:
    """A prober that keeps all outcomes."""

    def __init__(self, prober: Any) -> None:
        self._prober = prober
        self.outcomes: list[ProbeOutcome] = []

    async def ask(self, endpoint: str, spec: ProbeSpec) -> ProbeOutcome:
        found: ProbeOutcome = await self._prober.ask(endpoint, spec)
        self.outcomes.append(found)
        return found


class _NoReporter:
    def record_probe(self, result: ProbeResult) -> None:
        pass

    def withdraw_probe(self, model: str, endpoint: str) -> None:
        pass


async def _at_once(_: float) -> None:
    await asyncio.sleep(0)


async def _settled(admission: Admission, seen: _Seen, endpoints: list[str]) -> None:
    admission.update(VERSION, NAME, SPEC, {endpoint: endpoint for endpoint in endpoints})

    def is_over() -> bool:
        is_in = len(admission.admitted(VERSION)) == len(endpoints)
        return is_in or len(seen.outcomes) >= PROBES

    await until(is_over, seconds=60.0)


def tensors(body: bytes, json_bytes: int) -> list[tuple[dict[str, Any], bytes]]:
    """Outputs of an answer in binary form: their description, and their bytes."""
    described = json.loads(body[:json_bytes])["outputs"]
    found, position = [], json_bytes
    for output in described:
        size = output["parameters"]["binary_data_size"]
        found.append((output, body[position : position + size]))
        position += size
    return found
