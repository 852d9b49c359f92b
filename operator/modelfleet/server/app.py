"""HTTP application of the model server.

`server.serve_command` builds it. The event loop only moves bytes. Loading and inference run in
worker threads, so health answers stay quick under load.
"""

import asyncio
import contextlib
import ctypes
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelfleet import __version__
from modelfleet.server import request_metrics
from modelfleet.server.onnx_model import Array, NotAModelError, OnnxModel
from modelfleet.server.open_inference import RequestError, TensorSpec, inputs_of, outputs_of

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Model and bounds of one server: `slots` inferences at once, bodies up to `most_bytes`."""

    name: str
    version: str
    file: Path
    slots: int
    most_bytes: int


class ModelServer:
    """Serves the model once it is loaded."""

    def __init__(self, config: ServerConfig, on_failure: Callable[[NotAModelError], None]) -> None:
        """`on_failure` is called when the file cannot be served; the process should end."""
        self.config = config
        self.model: OnnxModel | None = None
        self._on_failure = on_failure
        self._workers = ThreadPoolExecutor(config.slots, thread_name_prefix="inference")
        # One more than there are workers, so that a parsed request is ready for a free worker.
        self._turns = asyncio.Semaphore(config.slots + 1)

    async def load(self) -> None:
        """Load the model in a worker thread."""
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            self.model = await loop.run_in_executor(self._workers, OnnxModel, self.config.file)
        except NotAModelError as error:
            self._on_failure(error)
            return
        _free_memory()
        request_metrics.LOAD_SECONDS.observe(time.perf_counter() - started)

    async def ready(self, _: Request) -> Response:
        """Answer 200 once the model is loaded."""
        return Response(status_code=200 if self.model is not None else 503)

    async def live(self, _: Request) -> Response:
        """Answer 200 while the event loop runs."""
        return Response(status_code=200)

    async def server_metadata(self, _: Request) -> Response:
        """Answer with name and version of the server."""
        return _json({"name": "modelfleet", "version": __version__, "extensions": []})

    async def model_metadata(self, request: Request) -> Response:
        """Answer with inputs and outputs of the model."""
        unknown = self._unknown(request)
        if unknown is not None:
            return unknown
        model = self.model
        if model is None:
            return _error(503, "the model is being loaded")
        return _json(
            {
                "name": self.config.name,
                "versions": [self.config.version],
                "platform": "onnx",
                "inputs": [spec.to_json() for spec in model.inputs],
                "outputs": [spec.to_json() for spec in model.outputs],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """Answer 200 once this model is loaded."""
        return self._unknown(request) or await self.ready(request)

    async def infer(self, request: Request) -> Response:
        """Answer one inference."""
        unknown = self._unknown(request)
        if unknown is not None:
            return unknown
        response = await self._infer(request)
        request_metrics.REQUESTS.labels(str(response.status_code)).inc()
        return response

    async def _infer(self, request: Request) -> Response:
        model = self.model
        if model is None:
            return _error(503, "the model is being loaded")
        length = request.headers.get("content-length")
        if length is not None and int(length) > self.config.most_bytes:
            return _error(413, f"the body must be at most {self.config.most_bytes} bytes")
        raw, came = await request.body(), time.perf_counter()
        # A parsed body takes many times its bytes in memory. A queue of parsed bodies could end
        # the process with all waiting requests, so a body is parsed only when a worker is free.
        async with self._turns:
            return await self._answer(model, raw, came)

    async def _answer(self, model: OnnxModel, raw: bytes, came: float) -> Response:
        try:
            body = orjson.loads(raw)
            inputs = inputs_of(body, model.inputs)
        except orjson.JSONDecodeError as error:
            return _error(400, f"the body must be JSON: {error}")
        except RequestError as error:
            return _error(400, str(error))
        outputs = await self._run(model, inputs, came)
        answer: dict[str, Any] = {
            "model_name": self.config.name,
            "model_version": self.config.version,
            "outputs": outputs_of(outputs),
        }
        if isinstance(body.get("id"), str):
            answer["id"] = body["id"]
        return _json(answer)

    async def _run(
        self, model: OnnxModel, inputs: dict[str, Array], came: float
    ) -> list[tuple[TensorSpec, Array]]:
        def infer() -> list[tuple[TensorSpec, Array]]:
            started = time.perf_counter()
            request_metrics.WAIT_SECONDS.observe(started - came)
            outputs = model.infer(inputs)
            request_metrics.INFERENCE_SECONDS.observe(time.perf_counter() - started)
            request_metrics.observe_outputs(outputs)
            return outputs

        return await asyncio.get_running_loop().run_in_executor(self._workers, infer)

    def _unknown(self, request: Request) -> Response | None:
        name = request.path_params["name"]
        if name == self.config.name:
            return None
        return _error(404, f"model '{name}' is not served here; this is '{self.config.name}'")

    async def metrics(self, _: Request) -> Response:
        """Answer with the Prometheus exposition."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    def app(self) -> Starlette:
        """Return the application with the routes of the protocol."""
        return Starlette(
            routes=[
                Route("/v2", self.server_metadata),
                Route("/v2/health/live", self.live),
                Route("/v2/health/ready", self.ready),
                Route("/v2/models/{name}", self.model_metadata),
                Route("/v2/models/{name}/ready", self.model_ready),
                Route("/v2/models/{name}/infer", self.infer, methods=["POST"]),
                Route("/metrics", self.metrics),
            ]
        )


def _free_memory() -> None:
    """Return unused memory of the allocator to the kernel: a third of a small model's pod.

    Loading needs that memory for a moment. Only glibc can return it; elsewhere nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value, default=_plain), media_type=_JSON)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    msg = f"{type(value).__name__} has no JSON form"
    raise TypeError(msg)


def _error(status: int, message: str) -> Response:
    return Response(orjson.dumps({"error": message}), status_code=status, media_type=_JSON)
