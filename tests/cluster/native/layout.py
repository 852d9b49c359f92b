"""Names, addresses and paths of the native cluster: one place, no logic.

Read by everything in this package. The paths are those seen *inside* the cluster's mount
namespace, where ``STATE`` is this checkout's ``build/cluster``: short and fixed, because Unix
sockets allow 108 bytes and a checkout may lie deep. It must never hold a path of one machine.
"""

from __future__ import annotations

VERSION = "1.34.4"
KWOK_VERSION = "0.8.0"

NODE = "local"
NODE_ADDRESS = "10.250.0.1"
NODE_PREFIX = 24
BRIDGE = "node0"
POD_RANGE = "10.244.0.0/16"
FAKE_POD_RANGE = "10.245.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
DOMAIN = "cluster.local"
API_PORT = 6443
ETCD = "http://127.0.0.1:2379"
ETCD_PEER = "http://127.0.0.1:2380"

RUN = "/run/modelfleet"
STATE = f"{RUN}/state"
PKI = f"{STATE}/pki"
CONFIG = f"{STATE}/config"
LOGS = f"{STATE}/logs"
AUDIT_LOG = f"{STATE}/audit.log"
CNI_CONFIG = f"{CONFIG}/cni"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "docker.io/modelfleet/pause:dev"
