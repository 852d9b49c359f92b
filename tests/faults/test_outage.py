"""The API server is away for a minute, and the link's Secret is lost: the same processes go on.

The API server of the local cluster is killed, and started again later as `make cluster-up` would.
Only the native cluster can do that.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import pytest

from tests import stack
from tests.cluster import choose
from tests.cluster.base import ClusterError
from tests.cluster.native import state
from tests.cluster.native.cluster import NativeCluster
from tests.e2e import operator_process as operator
from tests.e2e.conftest import Load, model, ready

pytestmark = pytest.mark.alone

OUTAGE_SECONDS = float(os.environ.get("MODELFLEET_OUTAGE_SECONDS", "60"))
MAX_BACK_SECONDS = 10.0
"""From the first answer of the API server to a leader."""
MAX_WRITES = 20
"""Writes in any second after the outage."""
GATEWAYS = "app.kubernetes.io/name=modelfleet-gateway"
SECRET = "modelfleet-gateway-link"  # noqa: S105 - the name of a Secret
KUBELET_SECONDS = 120.0
"""Until every gateway has a new content of its Secret."""


@pytest.fixture
def cluster() -> Iterator[NativeCluster]:
    """The native cluster, whole again afterwards whatever happened."""
    provider = choose.provider(os.environ)
    if not isinstance(provider, NativeCluster):
        pytest.skip("only the native cluster can stop its API server")
    yield provider
    provider.up()


def stop_api_server(cluster: NativeCluster) -> None:
    running = state.load(cluster.state_file)
    assert running is not None
    # With leader election the controller manager ends when it cannot renew its own lease. Here it
    # has none, and one that lives on calls the node lost as soon as the API server is back.
    ended = [running.processes[name] for name in ("kube-apiserver", "kube-controller-manager")]
    for process in ended:
        process.kill()
    assert state.wait_gone(ended, 10.0) == []


def mended(cluster: NativeCluster) -> None:
    """Start what is missing; the kubelet may take minutes until it calls its node ready."""
    for _ in range(3):
        with suppress(ClusterError):
            cluster.up()
            return
    cluster.up()


def answers() -> bool:
    return stack.kubectl("get", "--raw", "/readyz", check=False) == "ok"


def restarts(selector: str) -> dict[str, int]:
    """Restarts of all containers, by pod."""
    return {
        pod["metadata"]["name"]: sum(
            status["restartCount"] for status in pod["status"].get("containerStatuses") or []
        )
        for pod in stack.items("pods", stack.SYSTEM, selector)
    }


def seconds_of(line: dict[str, str]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def leads_since(moment: float) -> float | None:
    """When the operator began to lead after a moment."""
    times = [seconds_of(line) for line in operator.logged("leading")]
    return max((at for at in times if at > moment), default=None)


def settle(namespace: str, store: str, load: Load) -> dict[str, object]:
    wanted = model(namespace, f"{store}/digits-1.onnx", version="one")
    stack.apply(wanted)
    ready(namespace)
    load.say(allow={"digits-v1": "one", "digits-v2": "two"})
    load.rate(30, 900)
    time.sleep(20)
    return wanted


def roll_out(namespace: str, store: str, wanted: dict, seconds: float) -> None:
    wanted["spec"]["model"] = {"uri": f"{store}/digits-2.onnx", "version": "two"}
    stack.apply(wanted)
    ready(namespace, seconds=seconds)
    assert stack.get("mlmodel", namespace, "digits")["status"]["stable"] == "digits-v2"


def test_outage_ends_no_process_and_loses_no_request(namespace, store, load, cluster):
    wanted = settle(namespace, store, load)
    before = (restarts(operator.SELECTOR), restarts(GATEWAYS))
    pods = {p["metadata"]["uid"] for p in stack.items("pods", namespace)}
    audited = stack.audit_position()
    stop_api_server(cluster)
    time.sleep(OUTAGE_SECONDS)
    starting = time.time()
    with ThreadPoolExecutor(1) as mending:
        whole = mending.submit(mended, cluster)
        stack.wait("the API server", answers, 60, 0.2)
        back = time.time()
        leading = stack.wait("a leader", lambda: leads_since(starting), MAX_BACK_SECONDS, 0.5)
        print(f"\nleader {leading - back:.1f} s after the API server answered")
        whole.result()
    time.sleep(30)
    writes = stack.writes(audited)
    by_second = Counter(event["requestReceivedTimestamp"][:19] for event in writes)
    print(f"{len(writes)} writes: {Counter(stack.written(event) for event in writes)}")
    assert (restarts(operator.SELECTOR), restarts(GATEWAYS)) == before, "no process ended"
    assert {p["metadata"]["uid"] for p in stack.items("pods", namespace)} == pods
    assert max(by_second.values(), default=0) <= MAX_WRITES
    roll_out(namespace, store, wanted, 90)
    total = load.end()["total"]
    assert total["failed"] == 0, total


def test_lost_link_secret_comes_back_and_rollouts_go_on(namespace, store, load):
    wanted = settle(namespace, store, load)
    before = (restarts(operator.SELECTOR), restarts(GATEWAYS))
    old = stack.get("secret", stack.SYSTEM, SECRET)["metadata"]["uid"]
    connected = len(operator.logged("gateway connected"))
    stack.kubectl("-n", stack.SYSTEM, "delete", "secret", SECRET)

    def is_new() -> bool:
        found = stack.get("secret", stack.SYSTEM, SECRET)
        return found is not None and found["metadata"]["uid"] != old

    stack.wait("another Secret", is_new, 30, 1)
    roll_out(namespace, store, wanted, 90)
    stack.wait(
        "both gateways with the new content",
        lambda: len(operator.logged("gateway connected")) >= connected + len(before[1]),
        KUBELET_SECONDS,
        2,
    )
    total = load.end()["total"]
    assert (restarts(operator.SELECTOR), restarts(GATEWAYS)) == before
    assert total["failed"] == 0, total
