"""A replica that hangs: it is replaced, and no request is lost meanwhile."""

import json

from tests import stack
from tests.e2e.clients import asked_all_the_time
from tests.e2e.conftest import model, ready

SERVER = """
import http.server, signal, os, time
signal.signal(15, lambda *_: os._exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/hang":
            time.sleep(3600)
        body = os.environ["MODELFLEET_VERSION"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
    def log_message(self, *_): pass
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
"""One thread: while it hangs, it answers nothing, not even its readiness probe."""
HANG = "import socket; s = socket.create_connection(('127.0.0.1', 8080)); s.send({!r}); s.recv(1)"


def test_a_hung_replica_is_replaced_and_no_request_is_lost(namespace):
    runtime = {
        "name": "custom",
        "image": "modelfleet/server:dev",
        "command": ["python3", "-c", SERVER],
        "shutdownSeconds": 1,
    }
    spec = {"runtime": runtime, "scaling": {"minReplicas": 2, "maxReplicas": 2}}
    stack.apply(model(namespace, None, traffic={"requestTimeoutSeconds": 10}, **spec))
    ready(namespace)
    pods = [pod["metadata"]["name"] for pod in replicas(namespace)]
    with asked_all_the_time(f"http://digits.{namespace}.localhost:8080/") as codes:
        script = HANG.format(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        stack.kubectl(
            *("-n", namespace, "exec", pods[0], "-c", "server", "--"),
            *("sh", "-c", f"timeout 2 python3 -c {json.dumps(script)} || true"),
        )
        stack.wait("the hung replica to go", lambda: gone(namespace, pods[0]), 150)
        ready(namespace)
        assert pods[1] in {pod["metadata"]["name"] for pod in replicas(namespace)}
    assert set(codes) == {"200"}
    assert len(codes) > 100
    assert "Replaced" in stack.reasons(namespace)


def replicas(namespace: str) -> list[stack.Json]:
    return stack.items("pods", namespace, "modelfleet.dev/role=replica")


def gone(namespace: str, name: str) -> bool:
    return name not in {pod["metadata"]["name"] for pod in replicas(namespace)}
