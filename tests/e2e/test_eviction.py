"""Both replicas are evicted, as by a drain of their node: one at a time, and no request is lost."""

import json
import time

from tests import stack
from tests.e2e.clients import asked_all_the_time
from tests.e2e.conftest import model, ready

SLOW_START = """
import http.server, signal, os, time
signal.signal(15, lambda *_: os._exit(0))
time.sleep(15)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def test_evicted_replicas_go_one_at_a_time(namespace):
    runtime = {
        "name": "custom",
        "image": "modelfleet/server:dev",
        "command": ["python3", "-c", SLOW_START],
        "shutdownSeconds": 1,
    }
    scaling = {"minReplicas": 2, "maxReplicas": 2}
    stack.apply(model(namespace, None, runtime=runtime, scaling=scaling))
    ready(namespace, seconds=120)
    stack.wait("a budget that allows one", lambda: allowed(namespace) == 1, 30)
    before = {pod["metadata"]["name"] for pod in replicas(namespace)}
    with asked_all_the_time(f"http://digits.{namespace}.localhost:8080/") as codes:
        refused = sum(evict(namespace, name) for name in sorted(before))
        ready(namespace, seconds=120)
    assert before.isdisjoint({pod["metadata"]["name"] for pod in replicas(namespace)})
    assert refused > 3, "the second one waited until the first had a successor"
    assert set(codes) == {"200"}
    assert len(codes) > 50


def evict(namespace: str, name: str) -> int:
    """Ask for it as a drain does, once a second; returns how often it was refused."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    for refused in range(120):
        told = stack.kubectl(
            "create", "--raw", path, "-f", "-", given=json.dumps(body), check=False
        )
        if "disruption budget" not in told:
            return refused
        time.sleep(1)
    msg = f"{name} was never evicted: {told}"
    raise TimeoutError(msg)


def allowed(namespace: str) -> int:
    budget = stack.get("poddisruptionbudget", namespace, "digits-replicas") or {}
    return (budget.get("status") or {}).get("disruptionsAllowed", 0)


def replicas(namespace: str) -> list[stack.Json]:
    """Pods that are not ending."""
    pods = stack.items("pods", namespace, "modelfleet.dev/role=replica")
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
