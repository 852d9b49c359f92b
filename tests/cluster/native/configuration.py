"""The configuration files of the native cluster's processes.

Called by ``cluster`` at each ``up``; pure: gives texts by file name, JSON where YAML is read, as
the standard library writes no YAML. Values that are not upstream's default say why.
"""

from __future__ import annotations

import json
from typing import Any

from . import layout
from .layout import PKI


def files(cni_plugins: str, cgroup: str) -> dict[str, str]:
    """Give every configuration file.

    ``cni_plugins`` is the folder that holds the network plugins, ``cgroup`` the path of the
    control group that holds all pods.
    """
    return {
        "containerd.toml": containerd(cni_plugins),
        "Corefile": corefile(),
        "kubelet.yaml": _text(kubelet(cgroup)),
        "audit-policy.yaml": _text(audit_policy()),
        "cni/network.conflist": _text(network()),
        "bootstrap.yaml": _text(bootstrap()),
    }


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def containerd(cni_plugins: str) -> str:
    """Give containerd's own configuration."""
    return f"""version = 2
root = "{layout.STATE}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "{layout.CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{layout.PAUSE_IMAGE}"
# Without it every sandbox dies where CAP_SYS_RESOURCE is missing.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_plugins}"
conf_dir = "{layout.CNI_CONFIG}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def corefile() -> str:
    """Give the DNS server's configuration; names live 5 s, so that tests see changes soon."""
    return f""".:53 {{
    errors
    bind {layout.NODE_ADDRESS}
    ready 127.0.0.1:8181
    cache 5
    kubernetes {layout.DOMAIN} {{
        kubeconfig {layout.CONFIG}/coredns.kubeconfig
        ttl 5
    }}
}}
"""


def kubelet(cgroup: str) -> dict[str, Any]:
    """Give the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{layout.CONTAINERD_SOCKET}",
        "clusterDNS": [layout.NODE_ADDRESS],
        "clusterDomain": layout.DOMAIN,
        "resolvConf": "",
        "podLogsDir": f"{layout.LOGS}/pods",
        "volumePluginDir": f"{layout.RUN}/volume-plugins",
        # One group for all pods, so that no trace is left when it is removed.
        "cgroupRoot": f"/{cgroup}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        # Images come from archives: what is collected could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "maxPods": 250,
        "podPidsLimit": -1,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 300,
        "kubeAPIBurst": 600,
        # A changed ConfigMap reaches a pod within this time.
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "10s",
        "nodeLeaseDurationSeconds": 40,
        "shutdownGracePeriod": "0s",
    }


def audit_policy() -> dict[str, Any]:
    """Log who did what to which object, for each finished request: enough to count writes."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "omitManagedFields": True,
        "rules": [{"level": "Metadata"}],
    }


def network() -> dict[str, Any]:
    """Route each pod over a pair of its own.

    Not a shared bridge: there the answer of a pod behind a Service goes straight to its neighbour
    and is only translated back where the kernel has bridge filtering.
    """
    ranges = [[{"subnet": layout.POD_RANGE}]]
    address = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "1.0.0",
        "name": "modelfleet",
        "plugins": [
            {"type": "ptp", "mtu": 1500, "ipam": address},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def bootstrap() -> dict[str, Any]:
    """Give the objects that must be there first: what the DNS server may read."""
    reads = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    group = "rbac.authorization.k8s.io"
    name = {"name": "modelfleet:coredns"}
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": name, "rules": reads}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", **name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "system:coredns"}],
    }
    return {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
