"""What the end-to-end tests stand on: the installed product, a namespace each, artifacts, load.

`python -m tests.run` brings the stack up before; a test that finds none says how to.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import capacity, speed, stack
from tests.demo import digits
from tests.stack import Json

SERVER = "modelfleet/server:dev"
FOLLOWS = pytest.StashKey[bool]()
STORE = """
import functools, http.server, os, signal, socketserver
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
handler = functools.partial(Quiet, directory="/files")
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), handler).serve_forever()
"""


def pytest_report_header() -> str:
    """What was measured of this machine."""
    return f"machine: {speed.said()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bounds of whole tests follow the machine, as those of single waits do."""
    for item in items:
        on_cluster = {"e2e", "faults"} & set(item.path.relative_to(stack.ROOT).parts)
        if on_cluster and item.stash.get(FOLLOWS, None) is None:
            item.stash[FOLLOWS] = True
            marker = item.get_closest_marker("timeout")
            given = config.getoption("timeout") or config.getini("timeout")
            seconds = marker.args[0] if marker else float(given)
            item.add_marker(pytest.mark.timeout(stack.patience(seconds)), append=False)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("digits")


@pytest.fixture(scope="session")
def artifacts(folder) -> digits.Digits:
    made = digits.make(folder)
    lighten(made.questions)
    return made


def lighten(path: Path) -> None:
    """Four images a request are enough to tell the versions apart, and cost little."""
    questions = json.loads(path.read_text())
    for question in questions:
        one, two = question["labels"]["one"], question["labels"]["two"]
        telling = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b][:2]
        chosen = [*telling, *(i for i in range(len(one)) if i not in telling)][:4]
        tensor = question["body"]["inputs"][0]
        data = tensor["data"]
        tensor["data"] = [v for i in chosen for v in data[64 * i : 64 * (i + 1)]]
        tensor["shape"] = [len(chosen), 64]
        question["labels"] = {
            kind: [labels[i] for i in chosen] for kind, labels in question["labels"].items()
        }
    path.write_text(json.dumps(questions))


@pytest.fixture(scope="session")
def store(artifacts) -> Iterator[str]:
    """Address of an artifact store in the cluster, with the digits and some broken files."""
    namespace = f"e2e-store-{time.time_ns() % 10**6}"
    stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "store", "namespace": namespace, "labels": {"app": "store"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "store",
                    "image": SERVER,
                    "command": ["python3", "-c", STORE],
                    "volumeMounts": [{"name": "files", "mountPath": "/files"}],
                    "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
                }
            ],
            "volumes": [{"name": "files", "emptyDir": {}}],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "store", "namespace": namespace},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": 80, "targetPort": 8000}]},
    }
    stack.apply(pod, service)
    stack.kubectl("-n", namespace, "wait", "pod/store", "--for=condition=Ready", stack.timeout(60))
    files = {
        "digits-1.onnx": artifacts.artifacts["one"],
        "digits-2.onnx": artifacts.artifacts["two"],
        "broken.onnx": b"this is no model",
    }
    for name, content in files.items():
        put(namespace, name, content)
    yield f"http://store.{namespace}.svc.cluster.local"
    stack.kubectl("delete", "namespace", namespace, "--wait=false")


def put(namespace: str, name: str, content: bytes) -> None:
    """A file into the store, whole at once as object stores do it."""
    subprocess.run(
        [
            str(stack.KUBECTL),
            "--kubeconfig",
            str(stack.KUBECONFIG),
            "-n",
            namespace,
            "exec",
            "-i",
            "store",
            "--",
            "sh",
            "-c",
            f"cat > /files/.{name} && mv /files/.{name} /files/{name}",
        ],
        input=content,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def namespace(request) -> Iterator[str]:
    """A namespace for one test, gone afterwards."""
    name = f"e2e-{time.time_ns() % 10**9}"
    stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    stack.kubectl("-n", name, "delete", "mlmodels", "--all", "--wait=false")
    stack.kubectl("delete", "namespace", name, "--wait=false")


def model(namespace: str, uri: str | None, name: str = "digits", **spec: Any) -> Json:
    """An MLModel; `version` names the state of the model."""
    source = {"uri": uri} if uri else {}
    if "version" in spec:
        source["version"] = spec.pop("version")
    if "digest" in spec:
        source["digest"] = spec.pop("digest")
    return {
        "apiVersion": "modelfleet.dev/v1alpha1",
        "kind": "MLModel",
        "metadata": {"name": name, "namespace": namespace},
        # Small requests: a node of two cores must take all replicas of a rollout.
        "spec": {
            "model": source,
            "objective": {"latencyMilliseconds": 200},
            "resources": {"cpu": "50m", "memory": "256Mi"},
            **spec,
        },
    }


def ready(namespace: str, name: str = "digits", seconds: float = 60) -> Json:
    """Wait until a model is Ready for its newest spec and at rest; returns it."""

    def settled() -> Json | None:
        found = stack.get("mlmodel", namespace, name)
        status = (found or {}).get("status") or {}
        is_current = status.get("observedGeneration") == (found or {})["metadata"]["generation"]
        at_rest = stack.condition(found, "Reconciling")[0] == "False"
        is_ready = stack.condition(found, "Ready")[0] == "True"
        return found if is_current and at_rest and is_ready else None

    try:
        return stack.wait(f"{name} to be ready", settled, seconds)
    except TimeoutError as error:
        found = stack.get("mlmodel", namespace, name)
        msg = f"{error}; status: {json.dumps((found or {}).get('status'))[:3000]}"
        raise TimeoutError(msg) from error


def claims(namespace: str, kind: str, status: str, name: str = "digits", seconds: float = 40):
    """Wait until a condition has this status; returns (reason, message)."""

    def found() -> tuple[str, str] | None:
        now, reason, message = stack.condition(stack.get("mlmodel", namespace, name), kind)
        return (reason, message) if now == status else None

    return stack.wait(f"{kind}={status} of {name}", found, seconds)


def paced(milliseconds: int) -> Json:
    """`spec.runtime`: the shipped server, whose inferences take so much more time and no CPU."""
    pace = {"name": "PACE_MILLISECONDS", "value": str(milliseconds)}
    return {"image": capacity.PACED_IMAGE, "env": [pace]}


@pytest.fixture
def machine(folder, artifacts, store, namespace) -> float:
    """Requests/s that this machine can do in all, through one replica that takes no time itself."""
    name = "yardstick"
    bounds = {"minReplicas": 1, "maxReplicas": 1}
    stack.apply(model(namespace, f"{store}/digits-1.onnx", name, runtime=paced(0), scaling=bounds))
    ready(namespace, name)
    found = capacity.measure(
        {
            "url": f"{stack.gateway_url()}/v2/models/{name}/infer",
            "host": f"{name}.{namespace}.localhost",
            "questions": str(artifacts.questions),
            "allow": {f"{name}-v1": "one"},
        },
        folder,
    )
    stack.kubectl("-n", namespace, "delete", "mlmodel", name)
    stack.wait("the yardstick to go", lambda: not stack.items("pods", namespace), 60)
    print(f"\nthis machine: {speed.said()}; in a closed loop: {found}")
    return float(found["requests_per_second"])


class Load:
    """The open-loop generator in its own process, steered through its standard input."""

    def __init__(self, folder: Path, artifacts: digits.Digits, host: str) -> None:
        self.report_path = folder / f"report-{time.time_ns()}.json"
        plan = folder / f"plan-{time.time_ns()}.json"
        plan.write_text(
            json.dumps(
                {
                    "url": f"{stack.gateway_url()}/v2/models/digits/infer",
                    "host": host,
                    "questions": str(artifacts.questions),
                    "stay": True,
                    "timeout_seconds": 110.0,
                }
            )
        )
        self.seconds: list[Json] = []
        self.answers: list[Json] = []
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.load",
                "--plan",
                str(plan),
                "--report",
                str(self.report_path),
            ],
            cwd=stack.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "second":
                self.seconds.append(event)
            elif event["event"] == "answer":
                self.answers.append({**event, "heard_at": time.time()})

    def say(self, **command: Any) -> None:
        """One command; see `tests.load.control`."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def rate(self, requests_per_second: float, seconds: float = 600) -> None:
        """From now on so many requests a second."""
        self.say(steps=[[seconds, requests_per_second, requests_per_second]])

    def end(self) -> Json:
        """Stop sending, wait for the last answers; returns the report."""
        self.say(stop=True)
        self._process.wait(timeout=stack.patience(130))
        report: Json = json.loads(self.report_path.read_text())
        return report

    def kill(self) -> None:
        """End the process whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def load(folder, artifacts, namespace) -> Iterator[Load]:
    """Load on the model `digits` of the test's namespace, through the external listener."""
    running = Load(folder, artifacts, f"digits.{namespace}.localhost")
    yield running
    running.kill()
