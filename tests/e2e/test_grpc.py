"""A gRPC server that listens before its model is loaded gets no call before it says it serves."""

import threading
import time

import grpc
import pytest

from tests import stack
from tests.e2e.conftest import model, ready

SERVER = """
import os, time
from concurrent import futures
import grpc
from grpc_health.v1 import health_pb2
loaded = time.monotonic() + float(os.environ["LOAD_SECONDS"])
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        is_health = details.method.startswith("/grpc.health")
        return grpc.unary_unary_rpc_method_handler(self.health if is_health else self.say)
    def health(self, request, context):
        status = 1 if time.monotonic() > loaded else 2
        return health_pb2.HealthCheckResponse(status=status).SerializeToString()
    def say(self, request, context):
        if time.monotonic() < loaded:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the model is being loaded")
        return request + os.environ["MODELFLEET_VERSION"].encode()
server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(Handler(),))
server.add_insecure_port("[::]:9000" if os.path.exists("/proc/net/if_inet6") else "0.0.0.0:9000")
server.start()
server.wait_for_termination()
"""
LOAD_SECONDS, CALLS_PER_SECOND = 12, 10


class Calls(threading.Thread):
    """Calls at a constant rate until `end`; each answer has to repeat its question."""

    def __init__(self, host: str) -> None:
        super().__init__(daemon=True)
        self.host, self.stop = host, threading.Event()
        self.answers: list[bytes] = []
        self.failures: list[str] = []

    def run(self) -> None:
        options = [("grpc.default_authority", self.host)]
        with grpc.insecure_channel("127.0.0.1:8080", options=options) as channel:
            say = channel.unary_unary("/echo.Echo/Say")
            open_calls = []
            while not self.stop.wait(1 / CALLS_PER_SECOND):
                question = f"{len(open_calls)}:".encode()
                open_calls.append((question, say.future(question, timeout=60)))
            for question, call in open_calls:
                try:
                    answer = call.result()
                except grpc.RpcError as error:
                    self.failures.append(f"{error.code()}: {error.details()}")
                    continue
                assert answer.startswith(question)
                self.answers.append(answer.removeprefix(question))

    def end(self) -> None:
        self.stop.set()
        self.join()


@pytest.fixture
def calls(namespace):
    thread = Calls(f"digits.{namespace}.localhost")
    yield thread
    thread.stop.set()


def spec(**env: str) -> dict:
    return {
        "name": "custom",
        "image": "modelfleet/agent:dev",
        "protocol": "GRPC",
        "port": 9000,
        "command": ["python3", "-c", SERVER],
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }


def test_no_call_meets_a_server_that_loads(namespace, calls):
    stack.apply(model(namespace, None, runtime=spec(LOAD_SECONDS=str(LOAD_SECONDS))))
    stack.wait("the route", lambda: stack.get("mlmodelversion", namespace, "digits-v1"), 30)
    time.sleep(2)  # both gateways know the host
    calls.start()
    ready(namespace)
    stack.apply(model(namespace, None, runtime=spec(LOAD_SECONDS=str(LOAD_SECONDS), NEXT="1")))
    stack.wait(
        "the next version",
        lambda: stack.get("mlmodel", namespace, "digits")["status"].get("stable") == "digits-v2",
        120,
    )
    ready(namespace)
    time.sleep(2)
    calls.end()
    print(f"\n{len(calls.answers)} calls answered, {len(calls.failures)} failed")
    assert calls.failures == []
    assert set(calls.answers) == {b"digits-v1", b"digits-v2"}
