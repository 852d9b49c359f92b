"""Which keys and certificates the native cluster has, and the kubeconfigs made of them.

Called by ``cluster`` at each ``up``: the program ``certificates`` of the built binary signs what
``plan`` lists. They are thrown away by ``down`` and never leave ``build/cluster``.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from . import layout

ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Certificate:
    """One certificate to sign: the common name is the user, the organizations are its groups."""

    name: str
    common_name: str
    organizations: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    authority: str = "ca"


API_HOSTS = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{layout.DOMAIN}",
    "localhost",
    "127.0.0.1",
    layout.FIRST_SERVICE_ADDRESS,
    layout.NODE_ADDRESS,
)
SERVERS = (
    Certificate("apiserver", "kube-apiserver", hosts=API_HOSTS),
    Certificate(
        "kubelet-server",
        f"system:node:{layout.NODE}",
        ("system:nodes",),
        (layout.NODE, layout.NODE_ADDRESS, "127.0.0.1"),
    ),
)
CLIENTS = (
    Certificate("kubelet", f"system:node:{layout.NODE}", ("system:nodes",)),
    Certificate("kube-controller-manager", "system:kube-controller-manager"),
    Certificate("kube-scheduler", "system:kube-scheduler"),
    Certificate("kube-proxy", "system:kube-proxy"),
    Certificate("coredns", "system:coredns"),
    Certificate("kwok", "system:kwok", ("system:masters",)),
    Certificate(ADMINISTRATOR, "kubernetes-admin", ("system:masters",)),
)
INTERNAL = (
    Certificate("apiserver-kubelet", "kube-apiserver-kubelet", ("system:masters",)),
    Certificate("front-proxy", "front-proxy", authority="front-proxy-ca"),
)


def plan(directory: Path) -> str:
    """Give what to sign, as the JSON that the program ``certificates`` reads."""
    return json.dumps(
        {
            "directory": str(directory),
            "authorities": ["ca", "front-proxy-ca"],
            "keys": ["service-account"],
            "certificates": [asdict(each) for each in (*SERVERS, *CLIENTS, *INTERNAL)],
        }
    )


def kubeconfig(pki: Path, name: str, server: str) -> str:
    """Give a kubeconfig that carries its keys, so that it can be copied anywhere."""

    def data(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    user = {
        "client-certificate-data": data(f"{name}.crt"),
        "client-key-data": data(f"{name}.key"),
    }
    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    context = {"cluster": "modelfleet", "user": name}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "modelfleet",
        "clusters": [{"name": "modelfleet", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "modelfleet", "context": context}],
    }
    return json.dumps(document, indent=2) + "\n"
