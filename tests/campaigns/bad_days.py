"""Events of a bad day, each with what brings it, what ends it, and the promise that holds.

`test_bad_day` plays them under constant load. Each acts on the real cluster through `Stage`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests import stack
from tests.campaigns.churn import churned
from tests.campaigns.fake_fleet import fake_nodes
from tests.campaigns.skewed_clock import wrong_clock
from tests.cluster import choose
from tests.cluster.base import ClusterError
from tests.cluster.native import state
from tests.cluster.native.cluster import NativeCluster
from tests.e2e.conftest import model, ready

OPERATOR = "app.kubernetes.io/name=modelfleet-operator"
GATEWAY = "app.kubernetes.io/name=modelfleet-gateway"
REPLICA = "modelfleet.dev/role=replica"
REPLICAS = 3
MANY = 500


@dataclass(slots=True)
class Stage:
    """The model under load: its namespace, the store of its artifacts, and the version it has."""

    namespace: str
    store: str
    number: int = 1

    def pods(self, selector: str = REPLICA, namespace: str = "") -> list[str]:
        """Names of the pods that are not ending, sorted."""
        items = stack.items("pods", namespace or self.namespace, selector)
        living = [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]
        return sorted(pod["metadata"]["name"] for pod in living)

    def model(self, **spec: object) -> stack.Json:
        """The model's object: three replicas of the version that serves now."""
        wanted = {"minReplicas": REPLICAS, "maxReplicas": REPLICAS}
        word = "one" if self.number % 2 else "two"
        file = f"{self.store}/digits-{1 if self.number % 2 else 2}.onnx"
        return model(
            self.namespace, file, **{"scaling": wanted, "version": f"{word}-{self.number}", **spec}
        )

    def roll_out(self) -> None:
        """Ask for the next version; a number that was used up by a bad one is not used again."""
        found = stack.get("mlmodel", self.namespace, "digits") or {}
        self.number = found["status"]["lastVersion"] + 1
        stack.apply(self.model())

    def claim(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        return stack.condition(stack.get("mlmodel", self.namespace, "digits"), kind)


@dataclass(frozen=True, slots=True)
class BadEvent:
    """`act` brings it and returns what ends it; `promise` is what must be so meanwhile."""

    name: str
    act: Callable[[Stage], Callable[[], None]]
    promise: Callable[[Stage], None] = lambda _: None
    seconds: float = 10.0
    """How long it lasts."""


def nothing() -> None:
    """End an event that ends by itself."""


def system(*arguments: str) -> str:
    return stack.kubectl("-n", stack.SYSTEM, *arguments)


def evict(namespace: str, name: str) -> str:
    meta = {"name": name, "namespace": namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    return stack.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(body), check=False)


def processes(*words: str) -> list[int]:
    """Ids of the processes of the cluster's containers whose command line has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().split(b"\0")
            in_pod = "kubepods" in (path.parent / "cgroup").read_text()
            if in_pod and all(word.encode() in line for word in words):
                found.append(int(path.parent.name))
    return sorted(found)


def killed(*words: str) -> Callable[[Stage], Callable[[], None]]:
    """SIGKILL for the first process in a container with these words in its command line."""

    def act(_: Stage) -> Callable[[], None]:
        os.kill(processes(*words)[0], signal.SIGKILL)
        return nothing

    return act


def operator_gone(_: Stage) -> Callable[[], None]:
    name = Stage("", "").pods(OPERATOR, stack.SYSTEM)[0]
    system("delete", "pod", name, "--grace-period=0", "--force")
    return nothing


def operator_gone_in_a_rollout(stage: Stage) -> Callable[[], None]:
    stage.roll_out()
    time.sleep(2)
    return operator_gone(stage)


def gateway_drained(stage: Stage) -> Callable[[], None]:
    system("delete", "pod", stage.pods(GATEWAY, stack.SYSTEM)[0], "--wait=false")
    return nothing


def replica_gone(stage: Stage) -> Callable[[], None]:
    name = stage.pods()[0]
    stack.kubectl("-n", stage.namespace, "delete", "pod", name, "--grace-period=0", "--force")
    return nothing


def all_evicted_from_a_cordoned_node(stage: Stage) -> Callable[[], None]:
    """No replacement can start: the budget must keep the others."""
    node = stack.items("nodes", "", "")[0]["metadata"]["name"]
    stack.kubectl("cordon", node)
    for name in stage.pods():
        evict(stage.namespace, name)
    return lambda: stack.kubectl("uncordon", node) and None


def most_are_left(stage: Stage) -> None:
    assert len(stage.pods()) >= REPLICAS - 1, "one was evicted, and the budget refused the rest"


def lease_stolen(_: Stage) -> Callable[[], None]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "a-thief", "renewTime": now, "acquireTime": now}
    patch = json.dumps({"spec": spec})
    system("patch", "lease", "modelfleet-operator", "--type=merge", "-p", patch)
    return nothing


def secret_gone(_: Stage) -> Callable[[], None]:
    system("delete", "secret", "modelfleet-gateway-link")
    return nothing


def source_gone(stage: Stage) -> Callable[[], None]:
    """A replica that starts now cannot fetch its artifact; the others serve."""
    home = stage.store.removeprefix("http://").split(".")[1]
    service = stack.get("service", home, "store")
    assert service is not None

    def select(labels: object) -> None:
        patch = json.dumps({"spec": {"selector": labels}})
        stack.kubectl("-n", home, "patch", "service", "store", "--type=merge", "-p", patch)

    select({"app": "nobody"})
    replica_gone(stage)
    return lambda: select(service["spec"]["selector"])


def quota_lowered(stage: Stage) -> Callable[[], None]:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "low", "namespace": stage.namespace},
        "spec": {"hard": {"pods": str(REPLICAS)}},
    }
    stack.apply(quota)
    stage.roll_out()
    return lambda: stack.kubectl("-n", stage.namespace, "delete", "resourcequota", "low") and None


def webhook_denies(stage: Stage) -> Callable[[], None]:
    """Every change of a Deployment in this namespace is denied, then a rollout is asked for."""
    name = f"deny-{stage.namespace}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": stage.namespace}
                },
                "resourceRules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["deployments"],
                    }
                ],
            },
            "validations": [{"expression": "false", "message": "not today", "reason": "Forbidden"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    stack.apply(policy, binding)
    time.sleep(2)
    stage.roll_out()
    kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    return lambda: stack.kubectl("delete", kinds, name) and None


def image_gone(stage: Stage) -> Callable[[], None]:
    broken = stage.model(runtime={"image": "modelfleet/none:1"})
    stack.apply(broken)
    # `kubectl apply` takes away what the next object does not name.
    return lambda: stack.apply(stage.model()) and None


def said(kind: str, *reasons: str) -> Callable[[Stage], None]:
    """The condition is True, or for RolledOut False, with one of these reasons."""

    def promise(stage: Stage) -> None:
        wanted = "False" if kind == "RolledOut" else "True"

        def is_said() -> bool:
            status, reason, _ = stage.claim(kind)
            return status == wanted and reason in reasons

        stack.wait(f"{kind}={wanted} {' or '.join(reasons)}", is_said, 90, every=0.5)

    return promise


def cluster() -> NativeCluster:
    provider = choose.provider(os.environ)
    assert isinstance(provider, NativeCluster), "only the native cluster can lose its own parts"
    return provider


def api_server_gone(_: Stage) -> Callable[[], None]:
    running = state.load(cluster().state_file)
    assert running is not None
    running.processes["kube-apiserver"].kill()

    def end() -> None:
        # The kubelet may take longer than a start until it calls its node ready.
        for _ in range(3):
            with suppress(ClusterError):
                cluster().up()
                return

    return end


def etcd_stopped(_: Stage) -> Callable[[], None]:
    running = state.load(cluster().state_file)
    assert running is not None
    pid = running.processes["etcd"].pid
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def agents_clock_wrong(stage: Stage) -> Callable[[], None]:
    """A third gateway whose agent lives five minutes ahead, and a rollout that it must confirm."""
    end = wrong_clock("modelfleet-gateway", "agent", "+5m")
    stage.roll_out()
    return end


def leaders_clock_wrong(stage: Stage) -> Callable[[], None]:
    """A second operator that lives five minutes behind takes over, and rolls out."""
    end = wrong_clock("modelfleet-operator", "operator", "-5m")
    system("scale", "deployment/modelfleet-operator", "--replicas=0")
    stage.roll_out()

    def back() -> None:
        system("scale", "deployment/modelfleet-operator", "--replicas=1")
        end()

    return back


def rolled_out(stage: Stage) -> None:
    """The version that was asked for serves."""
    settled(stage)


def hung(_: Stage) -> Callable[[], None]:
    """The server of one replica stops without an end of its process."""
    pid = processes("serve", "digits")[0]
    os.kill(pid, signal.SIGSTOP)

    def end() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    return end


def many_come_and_go(stage: Stage) -> Callable[[], None]:
    """500 models are made, called once and deleted, beside the one under load."""
    with fake_nodes():
        statuses = asyncio.run(churned(stage.namespace, range(MANY)))
    assert set(statuses) == {200}, statuses
    return nothing


def settled(stage: Stage) -> None:
    """All replicas of the newest version serve, and the model is at rest."""

    def is_so() -> bool:
        with suppress(RuntimeError, KeyError, TypeError, TimeoutError):
            ready(stage.namespace, seconds=5)
            found = stack.get("mlmodel", stage.namespace, "digits") or {}
            wanted = f"one-{stage.number}" if stage.number % 2 else f"two-{stage.number}"
            return found["status"].get("model") == wanted and len(stage.pods()) == REPLICAS
        return False

    stack.wait("the model to be as before", is_so, 180, every=0.5)


EVENTS = (
    BadEvent("operator killed", operator_gone),
    BadEvent("operator killed in a rollout", operator_gone_in_a_rollout),
    BadEvent("agent of a gateway killed", killed("agent", "modelfleet")),
    BadEvent("Envoy of a gateway killed", killed("envoy", "/run/modelfleet/envoy.json")),
    BadEvent("gateway drained", gateway_drained, seconds=15),
    BadEvent("replica gone at once", replica_gone),
    BadEvent("server of a replica killed", killed("serve", "digits")),
    BadEvent("node cordoned, all evicted", all_evicted_from_a_cordoned_node, most_are_left),
    BadEvent("Lease stolen", lease_stolen, seconds=20),
    BadEvent("Secret of the link deleted", secret_gone, seconds=15),
    BadEvent("source gone, a replica lost", source_gone, said("Degraded", "FetchFailed")),
    BadEvent(
        "quota lowered in a rollout",
        quota_lowered,
        said("RolledOut", "PodsRefused", "CreateRefused"),
    ),
    BadEvent(
        "admission denies Deployments",
        webhook_denies,
        said("RolledOut", "CreateRefused"),
    ),
    BadEvent("image of a new version is missing", image_gone, said("Stalled", "ImagePullFailed")),
    BadEvent("server of a replica hangs", hung, seconds=20),
    BadEvent("clock of an agent wrong", agents_clock_wrong, rolled_out),
    BadEvent("clock of the leader wrong", leaders_clock_wrong, rolled_out),
    BadEvent("500 models come and go", many_come_and_go),
    BadEvent("etcd stopped", etcd_stopped, seconds=20),
    BadEvent("API server away", api_server_gone, seconds=30),
)
