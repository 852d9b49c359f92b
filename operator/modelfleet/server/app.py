"""HTTP application of the model server.

`server.serve_command` builds it. The event loop only moves bytes. Loading, reading of numbers and
inference run in worker threads, so health answers stay quick under load.
"""

import asyncio
import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelfleet import __version__
from modelfleet.server import request_metrics
from modelfleet.server.base import Array, RequestError
from modelfleet.server.onnx_model import NotAModelError, OnnxModel
from modelfleet.server.open_inference import (
    BINARY_HEADER,
    InferenceRequest,
    read_request,
    write_answer,
)
from modelfleet.server.request_body import BodyReader, unpacked

EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "onnx_onnxv1"
_JSON, _BINARY = "application/json", "application/octet-stream"
_LOADING = "the model is being loaded"
_RETRY = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Model and bounds of one server: `slots` inferences at once, bodies up to `most_bytes`.

    An empty version is none. All bodies together may have `most_waiting_bytes`.
    """

    name: str
    version: str
    file: Path
    slots: int
    most_bytes: int
    most_waiting_bytes: int


class ModelServer:
    """Serves the model once it is loaded."""

    def __init__(self, config: ServerConfig, on_failure: Callable[[NotAModelError], None]) -> None:
        """`on_failure` is called when the file cannot be served; the process should end."""
        self.config = config
        self.model: OnnxModel | None = None
        self._on_failure = on_failure
        self._bodies = BodyReader(config.most_bytes, config.most_waiting_bytes)
        # A parsed body takes many times its bytes in memory. A queue of parsed bodies could end
        # the process with all waiting requests, so a body is parsed only in a worker. There is one
        # worker more than inferences, so that a parsed request is ready for a free slot.
        self._workers = ThreadPoolExecutor(config.slots + 1, thread_name_prefix="inference")
        self._slots = threading.Semaphore(config.slots)

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
        if self.model is None:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, _LOADING, _RETRY)
        return _json({"ready": True, "live": True})

    async def live(self, _: Request) -> Response:
        """Answer 200 while the event loop runs."""
        return _json({"live": True})

    async def server_metadata(self, _: Request) -> Response:
        """Answer with name, version and extensions of the server."""
        return _json({"name": "modelfleet", "version": __version__, "extensions": EXTENSIONS})

    async def model_metadata(self, request: Request) -> Response:
        """Answer with inputs and outputs of the model."""
        model = self._named_model(request)
        versions = {"versions": [self.config.version]} if self.config.version else {}
        return _json(
            {
                "name": self.config.name,
                **versions,
                "platform": PLATFORM,
                "inputs": [spec.to_json() for spec in model.inputs],
                "outputs": [spec.to_json() for spec in model.outputs],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """Answer 200 once this model is loaded."""
        self._named_model(request)
        return _json({"name": self.config.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        """Answer one inference; an answer of any kind is counted."""
        code = HTTPStatus.INTERNAL_SERVER_ERROR.value
        try:
            response = await self._infer(request)
            code = response.status_code
        except RequestError as error:
            code = error.status
            raise
        finally:
            request_metrics.REQUESTS.labels(str(code)).inc()
        return response

    async def _infer(self, request: Request) -> Response:
        model = self._named_model(request)
        headers = dict(request.headers)
        async with self._bodies.read(request) as raw:
            came, loop = time.perf_counter(), asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._work, model, raw, headers, came)

    def _work(
        self, model: OnnxModel, raw: bytearray, headers: Mapping[str, str], came: float
    ) -> Response:
        """Answer one body, in a worker."""
        body = unpacked(raw, headers.get("content-encoding", ""), self.config.most_bytes)
        json_length = headers.get(BINARY_HEADER.lower())
        asked = read_request(body, json_length, model.inputs, model.outputs)
        arrays = self._run(model, asked, came)
        head = {"model_name": self.config.name}
        if self.config.version:
            head["model_version"] = self.config.version
        content, length = write_answer(head, asked, arrays)
        if length is None:
            return Response(content, media_type=_JSON)
        return Response(content, media_type=_BINARY, headers={BINARY_HEADER: str(length)})

    def _run(self, model: OnnxModel, asked: InferenceRequest, came: float) -> list[Array]:
        specs = [wanted.spec for wanted in asked.outputs]
        with self._slots:
            started = time.perf_counter()
            request_metrics.WAIT_SECONDS.observe(started - came)
            arrays = model.infer(asked.inputs, specs)
            request_metrics.INFERENCE_SECONDS.observe(time.perf_counter() - started)
        request_metrics.observe_outputs(list(zip(specs, arrays, strict=True)))
        return arrays

    def _named_model(self, request: Request) -> OnnxModel:
        """Return the model if it is loaded and the path names it and, if any, its version.

        Raises RequestError.
        """
        name = request.path_params["name"]
        if name != self.config.name:
            msg = f"model '{name}' is not served here; this is '{self.config.name}'"
            raise RequestError(
                msg,
                HTTPStatus.NOT_FOUND,
            )
        version = request.path_params.get("version", self.config.version)
        if version != self.config.version:
            msg = f"version '{version}' is not served here; this is '{self.config.version}'"
            raise RequestError(
                msg,
                HTTPStatus.NOT_FOUND,
            )
        if self.model is None:
            raise RequestError(_LOADING, HTTPStatus.SERVICE_UNAVAILABLE)
        return self.model

    async def metrics(self, _: Request) -> Response:
        """Answer with the Prometheus exposition."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    def app(self) -> Starlette:
        """Return the application with the routes of the protocol."""
        models = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
        application = Starlette(
            routes=[
                *(Route(path, self.server_metadata) for path in ("/v2", "/v2/")),
                Route("/v2/health/live", self.live),
                Route("/v2/health/ready", self.ready),
                *(Route(path, self.model_metadata) for path in models),
                *(Route(f"{path}/ready", self.model_ready) for path in models),
                *(Route(f"{path}/infer", self.infer, methods=["POST"]) for path in models),
                Route("/metrics", self.metrics),
            ],
            exception_handlers={
                RequestError: _on_request_error,
                HTTPException: _on_http_error,
                Exception: _on_failure,
            },
        )
        # A redirect to a path without the last slash would be an answer that is not JSON.
        application.router.redirect_slashes = False
        return application


def _free_memory() -> None:
    """Return unused memory of the allocator to the kernel: a third of a small model's pod.

    Loading needs that memory for a moment. Only glibc can return it; elsewhere nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


async def _on_request_error(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestError) else HTTPStatus.BAD_REQUEST
    return _error(status, str(error), _RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else None)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer for a path or method that has no route."""
    if not isinstance(error, HTTPException):
        raise error
    if request.url.path.endswith("/infer"):
        request_metrics.REQUESTS.labels(str(error.status_code)).inc()
    message = f"{request.method} {request.url.path}: {error.detail}"
    return _error(error.status_code, message, error.headers)


async def _on_failure(_: Request, error: Exception) -> Response:
    """Answer for a fault of the server or the model; uvicorn logs the error."""
    return _error(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"the server or the model failed: {type(error).__name__}",
    )


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type=_JSON)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    content = orjson.dumps({"error": message})
    return Response(content, status_code=int(status), media_type=_JSON, headers=headers)
