"""`modelfleet serve`: serve one ONNX model until a signal to stop.

It runs as the container of every replica of the runtime `onnx`. A file that is not a model ends the
process with one line of JSON in the termination log. The operator sets a condition from that line.
"""

import argparse
import asyncio
import os
import socket
from pathlib import Path

import uvicorn

from modelfleet.api import names
from modelfleet.listening import listening_socket
from modelfleet.server.app import ModelServer, ServerConfig
from modelfleet.server.onnx_model import NotAModelError
from modelfleet.telemetry.termination import write_last_words

KEEP_ALIVE_SECONDS = 120
"""Longer than the gateway keeps idle connections, so that the server never closes one first."""

MEBIBYTE = 1024 * 1024


def serve(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    options = _options(arguments)
    config = ServerConfig(
        name=options.name,
        version=os.environ.get("MODELFLEET_VERSION", ""),
        file=Path(options.file),
        slots=options.slots,
        most_bytes=options.most_bytes,
        most_waiting_bytes=options.most_waiting_bytes,
    )
    failures: list[str] = []
    uvicorn_config = uvicorn.Config(
        app="unset",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=options.shutdown_seconds,
        lifespan="off",
    )
    server = uvicorn.Server(uvicorn_config)

    def failed(error: NotAModelError) -> None:
        failures.append(str(error))
        server.should_exit = True

    model_server = ModelServer(config, failed)
    uvicorn_config.app = model_server.app()
    listening = listening_socket(options.host, options.port)
    asyncio.run(_run(server, model_server, listening))
    if failures:
        write_last_words({"reason": "NotAModel", "message": failures[0], "final": True})
        return 1
    return 0


async def _run(server: uvicorn.Server, model_server: ModelServer, listening: socket.socket) -> None:
    loading = asyncio.ensure_future(model_server.load())
    await server.serve(sockets=[listening])
    await loading


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="modelfleet serve", description=serve.__doc__)
    parser.add_argument("--name", required=True, help="name of the model in request paths")
    parser.add_argument("--file", required=True, help="ONNX file")
    parser.add_argument("--host", default="", help="address to listen on (every one)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--slots", type=int, default=1, help="inferences at the same time")
    parser.add_argument(
        "--most-bytes",
        type=int,
        default=64 * MEBIBYTE,
        help="bytes of one body, as it is sent and unpacked; a larger one gets 413 (64 MiB)",
    )
    parser.add_argument(
        "--most-waiting-bytes",
        type=int,
        default=256 * MEBIBYTE,
        help="bytes of all bodies in memory; what goes beyond gets 503 (256 MiB)",
    )
    parser.add_argument("--shutdown-seconds", type=int, default=names.SHUTDOWN_SECONDS)
    return parser.parse_args(arguments)
