"""The command line of every process of the native cluster.

Called by ``cluster``; pure: no file is read and nothing is started here. Flags that are not
upstream's default say why. Paths are those of ``layout``, seen inside the mount namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import layout
from .layout import CONFIG, NODE_ADDRESS, PKI


@dataclass(frozen=True)
class Component:
    """One process: its name is also that of its program, its log and its kubeconfig."""

    name: str
    argv: tuple[str, ...]


def components() -> tuple[Component, ...]:
    """Give all processes but the forwarder, in the order of starting."""
    return (
        Component("containerd", ("containerd", f"--config={CONFIG}/containerd.toml")),
        _etcd(),
        _apiserver(),
        _controllers(),
        _scheduler(),
        _kubelet(),
        _proxy(),
        Component("coredns", ("coredns", f"-conf={CONFIG}/Corefile")),
    )


def _kubeconfig(name: str) -> str:
    return f"{CONFIG}/{name}.kubeconfig"


def _etcd() -> Component:
    argv = (
        "etcd",
        "--name=local",
        # In memory, and thrown away with the namespace: waiting for a disk would only add noise.
        f"--data-dir={layout.RUN}/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={layout.ETCD}",
        f"--advertise-client-urls={layout.ETCD}",
        f"--listen-peer-urls={layout.ETCD_PEER}",
        f"--initial-advertise-peer-urls={layout.ETCD_PEER}",
        f"--initial-cluster=local={layout.ETCD_PEER}",
        "--log-level=warn",
    )
    return Component("etcd", argv)


def _apiserver() -> Component:
    argv = (
        "kube-apiserver",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={layout.API_PORT}",
        f"--etcd-servers={layout.ETCD}",
        f"--service-cluster-ip-range={layout.SERVICE_RANGE}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--client-ca-file={PKI}/ca.crt",
        f"--service-account-issuer=https://kubernetes.default.svc.{layout.DOMAIN}",
        f"--service-account-key-file={PKI}/service-account.pub",
        f"--service-account-signing-key-file={PKI}/service-account.key",
        # Without it logs and exec try to resolve the node's name.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet.key",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={PKI}/front-proxy.crt",
        f"--proxy-client-key-file={PKI}/front-proxy.key",
        f"--audit-policy-file={CONFIG}/audit-policy.yaml",
        f"--audit-log-path={layout.AUDIT_LOG}",
        # Batch mode spins a core on this version.
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=2000",
        "--profiling=false",
    )
    return Component("kube-apiserver", argv)


def _client(name: str) -> tuple[str, ...]:
    path = _kubeconfig(name)
    return (
        f"--kubeconfig={path}",
        f"--authentication-kubeconfig={path}",
        f"--authorization-kubeconfig={path}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        # At the defaults 300 models take 70 s, whatever the operator under test does.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    )


def _controllers() -> Component:
    argv = (
        "kube-controller-manager",
        *_client("kube-controller-manager"),
        "--allocate-node-cidrs=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={PKI}/service-account.key",
        f"--root-ca-file={PKI}/ca.crt",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-endpoint-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
        "--concurrent-serviceaccount-token-syncs=20",
        "--concurrent-gc-syncs=30",
    )
    return Component("kube-controller-manager", argv)


def _scheduler() -> Component:
    return Component("kube-scheduler", ("kube-scheduler", *_client("kube-scheduler")))


def _kubelet() -> Component:
    argv = (
        "kubelet",
        f"--kubeconfig={_kubeconfig('kubelet')}",
        f"--config={CONFIG}/kubelet.yaml",
        f"--hostname-override={layout.NODE}",
        f"--node-ip={NODE_ADDRESS}",
    )
    return Component("kubelet", argv)


def _proxy() -> Component:
    argv = (
        "kube-proxy",
        f"--kubeconfig={_kubeconfig('kube-proxy')}",
        f"--hostname-override={layout.NODE}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={layout.POD_RANGE}",
        # The tables of connections belong to the machine, not to this namespace.
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--oom-score-adj=0",
    )
    return Component("kube-proxy", argv)


def forwarder(name: str, targets: Mapping[int, str]) -> Component:
    """Give the process that joins inherited listening sockets to addresses in the cluster."""
    pairs = [f"{descriptor}={target}" for descriptor, target in sorted(targets.items())]
    return Component(name, ("forward", f"-resolver={NODE_ADDRESS}:53", *pairs))
