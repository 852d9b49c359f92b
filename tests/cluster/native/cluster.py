"""The native cluster: start, stop, look at, and reach one real Kubernetes on this machine.

Made by ``tests.cluster.choose``. The order of steps is here and nothing else: command lines are in
``components``, files in ``configuration``, isolation in ``namespaces``. Whatever happens in
``up``, a failed or interrupted one takes down what it started.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..base import Archive, ClusterError, Status
from ..console import run, say
from ..paths import CLUSTER, IMAGES
from . import build, cgroups, layout, namespaces, packages, state
from .certificates import ADMINISTRATOR, CLIENTS, kubeconfig, plan
from .components import Component, components
from .configuration import files
from .forwarding import API, GATEWAY, Forwarding
from .runtime import Runtime, forget_pods, pause_image
from .state import Process, State

EARLY = ("containerd", "etcd", "kube-apiserver")
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
HOLDER = "hold"
DNS_QUESTION = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8181, timeout=1)
connection.request("GET", "/ready")
sys.exit(connection.getresponse().status != 200)
"""


class NativeCluster:
    """One cluster of this checkout, kept in ``directory``."""

    name = "native"

    def __init__(self, directory: Path = CLUSTER) -> None:
        self._directory = directory
        self._state_file = directory / "state.json"
        self._logs = directory / "logs"
        self._cgroup = cgroups.name_for(directory)

    def up(self) -> None:
        """Start everything and return with a Ready node and working DNS."""
        if self._is_whole():
            say("the cluster is up already")
            return
        packages.ensure(packages.CLUSTER, plugins=True)
        programs = build.kubernetes()
        self.down()
        began = time.monotonic()
        try:
            self._start(programs)
        except BaseException:
            self.down()
            raise
        say(f"Kubernetes {layout.VERSION} is up after {time.monotonic() - began:.1f} s")

    def _start(self, programs: Path) -> None:
        self._prepare(programs)
        cgroups.create(self._cgroup)
        log = self._logs / "hold.log"
        running = State({HOLDER: namespaces.create(self._directory, programs / HOLDER, log)})
        running.save(self._state_file)
        wanted = {each.name: each for each in components()}
        for name in EARLY:
            self._launch(running, programs, wanted.pop(name))
        self._forward(running, programs)
        runtime = Runtime(running.processes[HOLDER])
        self._await("containerd", runtime.is_ready)
        runtime.load(pause_image(programs, IMAGES))
        self._await("kube-apiserver", lambda: self._answers("get", "--raw=/readyz"))
        self._kubectl("create", "-f", str(self._directory / "config" / "bootstrap.yaml"))
        for component in wanted.values():
            self._launch(running, programs, component)
        self._await("kubelet", self._node_is_ready)
        self._await("coredns", self._dns_is_ready)

    def _prepare(self, programs: Path) -> None:
        say("writing certificates and configuration")
        for name in ("pki", "config", "logs"):
            shutil.rmtree(self._directory / name, ignore_errors=True)
        for name in ("pki", "config/cni", "logs/pods", "containerd"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        (self._directory / "audit.log").unlink(missing_ok=True)
        forget_pods(programs, self._directory / "containerd")
        pki, config = self._directory / "pki", self._directory / "config"
        run([str(programs / "certificates")], stdin=plan(pki))
        for name, text in files(packages.cni_folder() or "", self._cgroup).items():
            (config / name).write_text(text, encoding="utf-8")
        for client in CLIENTS:
            text = kubeconfig(pki, client.name, _server(layout.NODE_ADDRESS, layout.API_PORT))
            (config / f"{client.name}.kubeconfig").write_text(text, encoding="utf-8")

    def _launch(
        self, running: State, programs: Path, component: Component, inherited: Sequence[int] = ()
    ) -> None:
        say(f"starting {component.name}")
        built = programs / component.argv[0]
        path = str(built) if built.exists() else packages.program(component.argv[0])
        argv = [path or component.argv[0], *component.argv[1:]]
        what = namespaces.Start(argv, self._logs / f"{component.name}.log", inherited)
        running.processes[component.name] = namespaces.start(running.processes[HOLDER], what)
        running.save(self._state_file)

    def _forward(self, running: State, programs: Path) -> None:
        with Forwarding.listen() as forwarding:
            running.ports = forwarding.ports()
            self._launch(running, programs, forwarding.component(), forwarding.descriptors())
        text = kubeconfig(
            self._directory / "pki", ADMINISTRATOR, _server("127.0.0.1", running.ports[API])
        )
        self.kubeconfig().write_text(text, encoding="utf-8")
        self.kubeconfig().chmod(0o600)

    def down(self) -> None:
        """Kill the first process inside, and with it all others; remove the control group."""
        found = state.load(self._state_file) or State()
        strays = namespaces.holders_of(self._directory)
        everything = [*found.processes.values(), *strays]
        for holder in (found.processes.get(HOLDER), *strays):
            if holder:
                holder.kill()
        for left in state.wait_gone(everything, STOP_SECONDS / 2):
            left.kill()
        stuck: list[object] = list(state.wait_gone(everything, STOP_SECONDS / 2))
        stuck += cgroups.remove(self._cgroup)
        if stuck:
            message = f"cannot remove: {stuck}"
            raise ClusterError(message)
        for path in (self.kubeconfig(), self._state_file):
            path.unlink(missing_ok=True)
        for name in ("pki", "config"):
            shutil.rmtree(self._directory / name, ignore_errors=True)

    def status(self) -> Status:
        """Say what runs and where to look."""
        found = state.load(self._state_file) or State()
        alive = {name: each.pid for name, each in found.processes.items() if each.is_alive()}
        details = {
            "logs": str(self._logs),
            "audit log": str(self._directory / "audit.log"),
            "kubeconfig": str(self.kubeconfig()),
            "dead": ", ".join(sorted(set(found.processes) - set(alive))) or "none",
        }
        if GATEWAY in found.ports:
            details["gateway"] = f"http://127.0.0.1:{found.ports[GATEWAY]}"
        return Status(self.name, self._is_whole(), alive, details)

    def kubeconfig(self) -> Path:
        """Give the kubeconfig for this machine."""
        return self._directory / "kubeconfig"

    def inside_kubeconfig(self) -> Path:
        """Give the kubeconfig for commands started through ``enter``."""
        return self._directory / "config" / f"{ADMINISTRATOR}.kubeconfig"

    def load_image(self, archive: Archive) -> bool:
        """Import an image into containerd; False where it was there already."""
        return Runtime(self._holder()).load(archive)

    def service_address(self, namespace: str, name: str, port: int) -> str:
        """Give the port of this machine for the gateway; others are reached through ``enter``."""
        address = self._running().ports.get(GATEWAY)
        if address and (namespace, name, port) == Forwarding.gateway_service():
            return f"127.0.0.1:{address}"
        query = ("get", "service", name, f"--namespace={namespace}", "-o=jsonpath={.spec.clusterIP}")
        return f"{self._kubectl(*query)}:{port}"

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Give the command that runs ``argv`` in the cluster's network."""
        return namespaces.enter(self._holder(), argv)

    def _is_whole(self) -> bool:
        found = state.load(self._state_file)
        expected = {HOLDER, "forward", *(each.name for each in components())}
        return found is not None and all(
            name in found.processes and found.processes[name].is_alive() for name in expected
        )

    def _running(self) -> State:
        found = state.load(self._state_file)
        if found is None:
            message = "the cluster is not up: run the verb 'up' first"
            raise ClusterError(message)
        return found

    def _holder(self) -> Process:
        holder = self._running().processes[HOLDER]
        if not holder.is_alive():
            message = "the cluster was killed: run the verb 'up' again"
            raise ClusterError(message)
        return holder

    def _await(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            dead = [key for key, each in self._running().processes.items() if not each.is_alive()]
            if dead or time.monotonic() > deadline:
                what = f"{', '.join(dead)} ended" if dead else f"{name} is not ready in time"
                message = f"{what}; see {self._logs}"
                raise ClusterError(message)
            time.sleep(POLL_SECONDS)

    def _kubectl(self, *arguments: str) -> str:
        kubectl = str(build.kubernetes() / "kubectl")
        return run([kubectl, f"--kubeconfig={self.kubeconfig()}", *arguments])

    def _answers(self, *arguments: str) -> bool:
        try:
            return bool(self._kubectl(*arguments))
        except ClusterError:
            return False

    def _node_is_ready(self) -> bool:
        path = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        try:
            return self._kubectl("get", "node", layout.NODE, path) == "True"
        except ClusterError:
            return False

    def _dns_is_ready(self) -> bool:
        try:
            run(self.enter([sys.executable, "-c", DNS_QUESTION]))
        except ClusterError:
            return False
        return True


def _server(address: str, port: int) -> str:
    return f"https://{address}:{port}"
