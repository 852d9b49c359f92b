"""A gRPC server says of itself whether it serves; one that says nothing is let in."""

import asyncio
from concurrent import futures

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.probes import ProbeSpec
from modelfleet.catalog.runtimes.custom import CustomRuntime
from modelfleet.gateway.admission.http_probe import HttpProber

SPEC = ProbeSpec("GrpcHealth", "m", timeout_seconds=0.5)
Status = health_pb2.HealthCheckResponse.ServingStatus


class Says(grpc.GenericRpcHandler):
    """A server that answers every call as a test says."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def service(self, details):
        if self.answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(self._called)

    def _called(self, request, context):
        if isinstance(self.answer, grpc.StatusCode):
            context.abort(self.answer, "as the test says")
        return self.answer


def asked(answer) -> tuple[str, str]:
    """Kind and reason of one probe of a real gRPC server."""
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=(Says(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        return outcome(port)
    finally:
        server.stop(None)


def outcome(port: int) -> tuple[str, str]:
    async def ask():
        async with aiohttp.ClientSession() as session:
            return await HttpProber(session).ask(f"127.0.0.1:{port}", SPEC)

    found = asyncio.run(ask())
    return found.kind, found.reason


def said(status: int) -> bytes:
    return health_pb2.HealthCheckResponse(status=status).SerializeToString()


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (said(Status.SERVING), "Right", ""),
        (said(Status.NOT_SERVING), "Loading", "NOT_SERVING"),
        (said(Status.UNKNOWN), "Loading", "UNKNOWN"),
        (said(77), "Loading", "77"),
        (grpc.StatusCode.UNAVAILABLE, "Loading", "unavailable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Late", "in time"),
        (None, "Unfit", "no gRPC health service (code 12)"),
        (grpc.StatusCode.UNIMPLEMENTED, "Unfit", "no gRPC health service (code 12)"),
        (grpc.StatusCode.NOT_FOUND, "Unfit", "(code 5)"),
        (grpc.StatusCode.UNAUTHENTICATED, "Unfit", "(code 16)"),
        (b"\xff\xff no message", "Unfit", "(code 13)"),
    ],
)
def test_the_servers_own_word(answer, kind, reason):
    found = asked(answer)
    assert found[0] == kind
    assert reason in found[1]


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert asked(said(Status.SERVING))[0] == "Right"


def test_a_port_that_nobody_listens_on_is_no_word():
    assert outcome(1)[0] == "Loading"


@pytest.mark.parametrize(
    ("protocol", "kind"), [("GRPC", "GrpcHealth"), ("H2C", None), ("HTTP1", None), (None, None)]
)
def test_only_grpc_servers_are_asked(protocol, kind):
    runtime = {"name": "custom", "image": "x", **({"protocol": protocol} if protocol else {})}
    shape = CustomRuntime().pod("m", MLModelSpec.model_validate({"runtime": runtime}), "")
    assert (shape.probe and shape.probe.protocol) == kind
