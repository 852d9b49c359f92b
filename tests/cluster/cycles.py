"""Start and stop the native cluster many times, and prove that nothing is left behind.

Started by people as ``python3 -m tests.cluster.cycles 20``. Before and after it lists processes,
mounts, interfaces, network namespaces and control groups of the machine; what is new is a fault.
In each cycle a pod runs, as an empty cluster leaves little. Every third cycle is killed instead of
stopped, and the next start has to clean up. It uses a cluster of its own beside the checkout's
one, which may stay up: what belongs to that one comes and goes, and is not looked at.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from .console import run, say
from .existing import kubectl
from .native import cgroups, layout, state
from .native.cluster import HOLDER, NativeCluster
from .paths import BUILD, CLUSTER

KILLED_EACH = 3
SETTLE_SECONDS = 1.0
POD_SECONDS = 30.0
OWN_NAMESPACE = str(Path("/proc/self/ns/pid").readlink())
OWN_WORDS = ("kube", "etcd", "coredns", "containerd", "runc", "modelfleet", "pause", "nsenter")


@dataclass(frozen=True)
class Traces:
    """What a machine carries: sets of names, so that two moments can be compared."""

    processes: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    namespaces: frozenset[str]
    control_groups: frozenset[str]


@dataclass(frozen=True)
class Neighbour:
    """The checkout's own cluster, where it is up: its process namespace and control group."""

    namespace: str | None
    control_group: str

    @classmethod
    def find(cls) -> Neighbour:
        """Look it up by what it left in its folder."""
        found = state.load(CLUSTER / "state.json")
        holder = found.processes.get(HOLDER) if found else None
        inside = _namespace_of(str(holder.pid)) if holder and holder.is_alive() else None
        return cls(inside, cgroups.name_for(CLUSTER))


def look(neighbour: Neighbour) -> Traces:
    """Look at the whole machine, not only at what we know that we made."""
    links = json.loads(run(["ip", "-json", "link"]))
    names = run(["ip", "netns", "list"]).splitlines()
    groups = (str(each) for each in Path("/sys/fs/cgroup").rglob("*") if each.is_dir())
    lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    return Traces(
        processes=frozenset(_processes(neighbour)),
        mounts=frozenset(line.split()[1] for line in lines),
        interfaces=frozenset(each["ifname"] for each in links),
        namespaces=frozenset(names),
        control_groups=frozenset(each for each in groups if neighbour.control_group not in each),
    )


def _namespace_of(pid: str) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return None


def _processes(neighbour: Neighbour) -> list[str]:
    """Name every program but the neighbour's; the machine's other commands come and go."""
    found = []
    for entry in Path("/proc").iterdir():
        inside = _namespace_of(entry.name) if entry.name.isdigit() else None
        # A zombie is over; when it is buried is up to the first process of this machine.
        is_over = inside is None or state.Process.of(int(entry.name)) is None
        if is_over or inside == neighbour.namespace:
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if any(word in words.split(" ")[0] for word in OWN_WORDS) or inside != OWN_NAMESPACE:
                found.append(f"{entry.name} {words.strip()}")
    return found


def difference(before: Traces, after: Traces) -> dict[str, list[str]]:
    """Give what is new, by kind; empty where nothing was left."""
    result = {}
    for each in fields(Traces):
        new = sorted(getattr(after, each.name) - getattr(before, each.name))
        if new:
            result[each.name] = new
    return result


def cycle(cluster: NativeCluster, *, kill: bool) -> tuple[float, float]:
    """Start, run a pod, stop; give the seconds of starting and of stopping."""
    began = time.monotonic()
    cluster.up()
    ready = time.monotonic()
    _run_pod(cluster.kubeconfig())
    stopping = time.monotonic()
    if kill:
        found = state.load(cluster.state_file)
        if found:
            found.processes[HOLDER].kill()
    else:
        cluster.down()
    return ready - began, time.monotonic() - stopping


def _run_pod(kubeconfig: Path) -> None:
    container = {"name": "pause", "image": layout.PAUSE_IMAGE, "imagePullPolicy": "Never"}
    # The account may be a moment late, and the pod needs none.
    spec = {"containers": [container], "automountServiceAccountToken": False}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cycle"}, "spec": spec}
    deadline = time.monotonic() + POD_SECONDS
    accounts = ("get", "serviceaccount", "--namespace=default", "--output=name")
    while "default" not in kubectl(kubeconfig, *accounts) and time.monotonic() < deadline:
        time.sleep(0.1)
    kubectl(kubeconfig, "create", "--filename=-", stdin=json.dumps(pod))
    kubectl(kubeconfig, "wait", "pod/cycle", "--for=condition=Ready", f"--timeout={POD_SECONDS}s")


def main(arguments: Sequence[str]) -> int:
    """Do the cycles and say what was left; the exit code is 1 where anything was."""
    count = int(arguments[0]) if arguments else 20
    directory = BUILD / "cycles"
    cluster = NativeCluster(directory)
    cluster.down()
    neighbour = Neighbour.find()
    try:
        left = _repeat(cluster, count, neighbour)
    finally:
        cluster.down()
    if left:
        sys.stdout.write(json.dumps(left, indent=2) + "\n")
        return 1
    shutil.rmtree(directory)
    sys.stdout.write(f"{count} cycles left nothing behind\n")
    return 0


def _repeat(cluster: NativeCluster, count: int, neighbour: Neighbour) -> dict[str, list[str]]:
    before = look(neighbour)
    for number in range(1, count + 1):
        kill = number % KILLED_EACH == 0 and number != count
        up, down = cycle(cluster, kill=kill)
        word = "killed" if kill else "down"
        say(f"cycle {number} of {count}: up {up:.1f} s, {word} {down:.1f} s")
        time.sleep(SETTLE_SECONDS)
        if not kill and (left := difference(before, look(neighbour))):
            return left
    return {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
