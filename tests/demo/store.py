"""A small artifact store in the cluster: one pod that serves files over HTTP.

Used by the demo and by end-to-end tests: ``ArtifactStore(kubernetes, namespace).start()``, then
``put``. The files lie in an emptyDir and go in through ``kubectl exec``: a ConfigMap is too small
for a model, and the pod's root is read-only. It must never be what a test of the product hangs
on: each ``put`` is read back and compared.
"""

from __future__ import annotations

import hashlib
import json

from tests import stack

from .cluster import DemoError, Kubernetes

NAME = "artifacts"
IMAGE = "modelfleet/server:dev"
# As the first process of a container Python would ignore SIGTERM and be killed after 30 s.
_SERVE = """
import functools, http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='/data')
http.server.ThreadingHTTPServer(('', 8000), handler).serve_forever()
"""
_PUT = """
import hashlib, os, sys
content = sys.stdin.buffer.read()
draft = '/data/.' + sys.argv[1]
with open(draft, 'wb') as file:
    file.write(content)
os.rename(draft, '/data/' + sys.argv[1])
with open('/data/' + sys.argv[1], 'rb') as file:
    print(hashlib.sha256(file.read()).hexdigest())
"""
_ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read())
with urllib.request.urlopen(request, timeout=60) as answer:
    sys.stdout.buffer.write(answer.read())
"""
_LABELS = {"app.kubernetes.io/name": NAME}


class ArtifactStore:
    """One store in one namespace."""

    def __init__(self, kubernetes: Kubernetes, namespace: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace

    def start(self) -> None:
        """Make it, or leave it where it runs; returns when it is ready."""
        for each in (self._deployment(), self._service()):
            self._kubernetes.apply(json.dumps(each))
        self._run("rollout", "status", f"deployment/{NAME}", stack.timeout(60))

    def stop(self) -> None:
        """Remove it."""
        self._run("delete", f"deployment/{NAME}", f"service/{NAME}", "--ignore-not-found")

    def url(self, name: str) -> str:
        """Address of an artifact for pods."""
        return f"http://{NAME}.{self._namespace}/{name}"

    def put(self, name: str, content: bytes) -> str:
        """Store ``content`` under ``name``, whole or not at all; gives its URL."""
        answer = self._execute(_PUT, name, stdin=content)
        if answer.strip() != hashlib.sha256(content).hexdigest():
            msg = f"artifact {name} did not arrive whole in the store"
            raise DemoError(msg)
        return self.url(name)

    def ask(self, url: str, body: bytes) -> bytes:
        """POST from inside the cluster, as a client in a pod does."""
        return self._execute(_ASK, url, stdin=body).encode()

    def _execute(self, program: str, argument: str, stdin: bytes) -> str:
        words = ("python3", "-c", program, argument)
        return self._run("exec", "-i", f"deployment/{NAME}", "--", *words, stdin=stdin)

    def _run(self, *arguments: str, stdin: bytes | None = None) -> str:
        return self._kubernetes.kubectl("-n", self._namespace, *arguments, stdin=stdin)

    def _service(self) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": self._namespace},
            "spec": {"selector": _LABELS, "ports": [{"port": 80, "targetPort": 8000}]},
        }

    def _deployment(self) -> dict[str, object]:
        container = {
            "name": "files",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", _SERVE],
            "ports": [{"containerPort": 8000}],
            "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        pod = {
            "containers": [container],
            "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "256Mi"}}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": self._namespace},
            "spec": {
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": pod},
            },
        }
