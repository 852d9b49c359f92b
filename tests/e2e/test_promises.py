"""Zero failed requests through everything that is done to a model, in one long run under load."""

import subprocess
import time
from dataclasses import dataclass

import pytest

from tests import capacity, stack
from tests.e2e.conftest import Load, model, paced, ready

pytestmark = pytest.mark.alone

OPERATOR = "app.kubernetes.io/name=modelfleet-operator"
GATEWAY = "app.kubernetes.io/name=modelfleet-gateway"
KILL_ALL = """
import os
mine = os.getpid()
[os.kill(int(p), 9) for p in os.listdir("/proc") if p.isdigit() and int(p) != mine]
"""


MAX_REPLICAS = 4
WANTED = 120.0
"""Requests/s; fewer where that is more than a third of what the machine can do."""
MIN_SENT = 10_000
"""At WANTED: 30 s of ramp (2,100), about 20 s + 8 s + 25 s + 20 s + 35 s in the phases (13,000 with
their waits), then 20 s at a twelfth, 200 at once and 30 s at two fifths (1,900)."""
RAMP_SECONDS = 30.0


@dataclass(frozen=True)
class Traffic:
    """Requests/s, chosen for this machine; each inference takes `pace` milliseconds."""

    high: float
    pace: int

    def part(self, share: float) -> float:
        """Lower traffic."""
        return max(1.0, self.high * share)


@pytest.fixture
def traffic(machine) -> Traffic:
    """Three fifths of what the replicas carry, because of the time that each takes, not the CPU."""
    pace = capacity.pace_for(machine, MAX_REPLICAS, WANTED)
    found = capacity.Capacity(machine=machine, one=1000 / pace)
    chosen = Traffic(capacity.high(found, MAX_REPLICAS, WANTED), pace)
    print(f"{found.said()}; {chosen}")
    return chosen


@pytest.mark.timeout(900)
def test_nothing_is_lost_through_the_life_of_a_model(namespace, store, traffic, load):
    scaling = {"minReplicas": 0, "maxReplicas": MAX_REPLICAS, "concurrencyPerReplica": 1}
    spec = {"scaling": scaling, "runtime": paced(traffic.pace)}
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one", **spec))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(traffic.part(1 / 6))
    time.sleep(5)
    scale_up(namespace, load, traffic)
    kill_a_replica(namespace)
    kill_the_operator()
    roll_out(namespace, store, load, spec)
    restart_the_gateways(namespace)
    scale_down_to_zero(namespace, load, traffic)
    wake_with_held_requests_while_an_agent_dies(namespace, load, traffic)
    report = load.end()
    total = report["total"]
    print(f"\n{total}")
    assert total["failed"] == 0, total
    least = MIN_SENT * traffic.high / WANTED
    print(f"at {traffic.high:.0f} requests/s at least {least:.0f} must have been sent")
    assert total["sent"] >= least


def replicas(namespace: str) -> int:
    return stack.get("mlmodel", namespace, "digits")["status"]["replicas"]


def scale_up(namespace: str, load: Load, traffic: Traffic) -> None:
    low, high = traffic.part(1 / 6), traffic.high
    load.say(steps=[[RAMP_SECONDS, low, high], [900, high, high]])
    time.sleep(RAMP_SECONDS)
    stack.wait("two replicas or more", lambda: replicas(namespace) >= 2, 60)
    time.sleep(20)


def kill_a_replica(namespace: str) -> None:
    """kill -9 of the server in one pod, and a deletion without grace of another one."""
    pods = stack.items("pods", namespace, "modelfleet.dev/role=replica")
    names = [p["metadata"]["name"] for p in pods if not p["metadata"].get("deletionTimestamp")]
    stack.kubectl(
        "-n",
        namespace,
        "exec",
        names[0],
        "-c",
        "server",
        "--",
        "python3",
        "-c",
        KILL_ALL,
        check=False,
    )
    time.sleep(3)
    stack.kubectl("-n", namespace, "delete", "pod", names[-1], "--grace-period=0", "--force")
    time.sleep(5)


def kill_the_operator() -> None:
    stack.kubectl(
        "-n", stack.SYSTEM, "delete", "pod", "-l", OPERATOR, "--grace-period=0", "--force"
    )


def roll_out(namespace: str, store: str, load: Load, spec: dict) -> None:
    """A new version, and the operator killed again while it moves."""
    load.say(allow={"digits-v1": "one", "digits-v2": "two"})
    stack.apply(model(namespace, f"{store}/digits-2.onnx", version="two", **spec))
    stack.wait(
        "the rollout to begin",
        lambda: stack.get("mlmodel", namespace, "digits")["status"].get("candidate"),
        60,
    )
    kill_the_operator()
    stack.wait(
        "the new version to serve",
        lambda: stack.get("mlmodel", namespace, "digits")["status"]["stable"] == "digits-v2",
        90,
    )
    load.say(allow={"digits-v2": "two"})
    time.sleep(20)


def restart_the_gateways(namespace: str) -> None:
    """One after the other, with grace: a gateway that is stopped loses nothing."""
    stack.kubectl("-n", stack.SYSTEM, "rollout", "restart", "deployment/modelfleet-gateway")
    stack.kubectl(
        *("-n", stack.SYSTEM, "rollout", "status", "deployment/modelfleet-gateway"),
        stack.timeout(180),
    )
    assert replicas(namespace) >= 1


def scale_down_to_zero(namespace: str, load: Load, traffic: Traffic) -> None:
    load.rate(traffic.part(1 / 12))
    # By its own forecasts a model that is minutes old gives nothing back yet.
    patch = '{"spec": {"scaling": {"maxReplicas": 2}}}'
    stack.kubectl("-n", namespace, "patch", "mlmodel", "digits", "--type=merge", "-p", patch)
    stack.wait("fewer replicas", lambda: replicas(namespace) <= 2, 60)
    time.sleep(20)
    load.rate(0)
    stack.wait(
        "zero replicas",
        lambda: not stack.items("pods", namespace, "modelfleet.dev/role=replica"),
        120,
    )


def wake_with_held_requests_while_an_agent_dies(
    namespace: str, load: Load, traffic: Traffic
) -> None:
    load.say(once=200)
    time.sleep(0.5)
    pod = stack.items("pods", stack.SYSTEM, GATEWAY)[0]["metadata"]["name"]
    subprocess.run(
        [
            str(stack.KUBECTL),
            "--kubeconfig",
            str(stack.KUBECONFIG),
            "-n",
            stack.SYSTEM,
            "exec",
            pod,
            "-c",
            "agent",
            "--",
            "python3",
            "-c",
            KILL_ALL,
        ],
        capture_output=True,
        check=False,
    )
    stack.wait("all held requests to be answered", lambda: len(load.answers) >= 200, 60)
    load.rate(traffic.part(0.4), 30)
    time.sleep(31)
