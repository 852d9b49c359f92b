"""An external metric that a test sets, as the HPA controller reads it: for `test_hpa`.

A pod that serves `external.metrics.k8s.io/v1beta1` behind the API server's aggregation layer, as a
metrics adapter does. Works with every provider of the local cluster. Must never replace an adapter
that is there, nor leave its APIService behind: with one that does not answer no namespace can go.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import stack
from tests.stack import Json

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
NAME = "external-metrics"
METRIC = "queue_length"
_SERVER = """
import http.server, json, os, signal, ssl, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ROOT = "/apis/external.metrics.k8s.io/v1beta1"
RESOURCE = {"name": "queue_length", "singularName": "", "namespaced": True,
            "kind": "ExternalMetricValueList", "verbs": ["get"]}
LIST = {"kind": "APIResourceList", "apiVersion": "v1", "resources": [RESOURCE],
        "groupVersion": "external.metrics.k8s.io/v1beta1"}

def values():
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open("/data/value") as file:
        item = {"metricName": "queue_length", "metricLabels": {}, "timestamp": now,
                "value": file.read().strip()}
    return {"kind": "ExternalMetricValueList", "metadata": {}, "items": [item],
            "apiVersion": "external.metrics.k8s.io/v1beta1"}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0].rstrip("/")
        is_asked = path.startswith(ROOT + "/namespaces/") and path.endswith("/queue_length")
        answer = LIST if path == ROOT else values() if is_asked else None
        content = json.dumps(answer or {"kind": "Status", "apiVersion": "v1", "code": 404}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""


def is_free() -> bool:
    """Whether nobody else serves external metrics on this cluster."""
    return not stack.kubectl(
        "get", "apiservice", f"{VERSION}.{GROUP}", "-o", "name", "--ignore-not-found"
    ).strip()


class MetricsApi:
    """The API, in a namespace of its own."""

    def __init__(self) -> None:
        self._namespace = f"e2e-metrics-{time.time_ns() % 10**6}"

    def start(self) -> None:
        """Serve the value 0; returns when the API server finds it available."""
        certificate, key = certificate_of(f"{NAME}.{self._namespace}.svc")
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        stack.apply(space)
        stack.apply(self._secret(certificate, key), self._pod(), self._service())
        stack.kubectl(
            *("-n", self._namespace, "wait", f"pod/{NAME}"),
            *("--for=condition=Ready", stack.timeout(90)),
        )
        self.set(0)
        # Only now: an APIService without a server disturbs everybody's discovery.
        stack.apply(self._registration(certificate))
        stack.kubectl(
            *("wait", f"apiservice/{VERSION}.{GROUP}", "--for=condition=Available"),
            stack.timeout(60),
        )

    def set(self, value: int) -> None:
        """The metric is this from now on."""
        code = f"import os; open('/data/new','w').write('{value}'); "
        code += "os.rename('/data/new','/data/value')"
        stack.kubectl("-n", self._namespace, "exec", NAME, "--", "python3", "-c", code)

    def end(self) -> None:
        """Take it away, the registration first."""
        stack.kubectl("delete", "apiservice", f"{VERSION}.{GROUP}", "--ignore-not-found")
        stack.kubectl("delete", "namespace", self._namespace, "--wait=false", "--ignore-not-found")

    def _meta(self) -> Json:
        return {"name": NAME, "namespace": self._namespace, "labels": {"app": NAME}}

    def _secret(self, certificate: bytes, key: bytes) -> Json:
        data = {"tls.crt": certificate, "tls.key": key}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": self._meta(),
            "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
        }

    def _pod(self) -> Json:
        mounts = [{"name": "tls", "mountPath": "/tls"}, {"name": "data", "mountPath": "/data"}]
        container = {
            "name": "server",
            "image": "modelfleet/server:dev",
            "command": ["python3", "-c", _SERVER],
            "volumeMounts": mounts,
            "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        }
        volumes = [
            {"name": "tls", "secret": {"secretName": NAME}},
            {"name": "data", "emptyDir": {}},
        ]
        spec = {
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": volumes,
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._meta(), "spec": spec}

    def _service(self) -> Json:
        ports = [{"port": 443, "targetPort": 8443}]
        spec = {"selector": {"app": NAME}, "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": self._meta(), "spec": spec}

    def _registration(self, certificate: bytes) -> Json:
        return {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": base64.b64encode(certificate).decode(),
                "service": {"name": NAME, "namespace": self._namespace, "port": 443},
            },
        }


def certificate_of(host: str) -> tuple[bytes, bytes]:
    """A certificate for one hour that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(pem), private


def scaler(namespace: str, model: str, most: int, each: int) -> Json:
    """An HPA of a model: a replica for each `each` of the metric, up to `most`."""
    target = {"type": "AverageValue", "averageValue": str(each)}
    metric = {"type": "External", "external": {"metric": {"name": METRIC}, "target": target}}
    reference = {"apiVersion": "modelfleet.dev/v1alpha1", "kind": "MLModel", "name": model}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": model, "namespace": namespace},
        "spec": {
            "scaleTargetRef": reference,
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


def said_of(namespace: str, name: str) -> str:
    """What the HPA says of itself, for a message."""
    found = stack.get("hpa", namespace, name) or {}
    return json.dumps(found.get("status"))[:1500]
