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

from tests import slow
from tests.cluster.base import Archive, ClusterError, Status
from tests.cluster.console import run, say
from tests.cluster.locks import exclusive
from tests.cluster.paths import CLUSTER, IMAGES

from . import build, cgroups, forwarding, layout, namespaces, packages, state
from .certificates import ADMINISTRATOR, CLIENTS, kubeconfig, plan
from .components import Component, components
from .configuration import files
from .forwarding import Forwarding
from .runtime import Runtime, forget_pods, pause_image
from .state import Process, State

EARLY = ("containerd", "etcd", "kube-apiserver")
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
HOLDER = "hold"
FORWARDER = "forward"
CORE = (HOLDER, FORWARDER)
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
        self.state_file = directory / "state.json"
        self._logs = directory / "logs"
        self._lock = directory.with_suffix(".lock")
        self._cgroup = cgroups.name_for(directory)

    def up(self) -> None:
        """Start everything and return with a Ready node and working DNS."""
        with exclusive(self._lock):
            if self._runs_at_another_speed():
                self._start_afresh()
            elif self._is_whole():
                say("the cluster is up already")
            elif not self._mended():
                self._start_afresh()

    def _runs_at_another_speed(self) -> bool:
        """Whether its quota of CPU time is not that of this command: it would mislead."""
        found = (state.load(self.state_file) or State()).processes.get(HOLDER)
        if found is None or not found.is_alive():
            return False
        its, wanted = slow.group_of(found.pid), slow.group_of()
        if its == wanted:
            return False
        words = (slow.speed_of(found.pid), slow.speed_of())
        say(f"the cluster that is up may use {words[0]}, this command {words[1]}: starting it anew")
        return True

    def _mended(self) -> bool:
        """Start single processes that ended, where what holds the cluster together still runs."""
        running = state.load(self.state_file)
        if running is None or not all(
            name in running.processes and running.processes[name].is_alive() for name in CORE
        ):
            return False
        wanted = {each.name: each for each in components()}
        if not set(wanted) <= set(running.processes):
            return False  # it was never whole
        for name, component in wanted.items():
            if not running.processes[name].is_alive():
                self._launch(running, component)
        self._await_ready()
        return True

    def _start_afresh(self) -> None:
        packages.ensure(packages.CLUSTER, plugins=True)
        programs = build.kubernetes()
        self._remove()
        began = time.monotonic()
        try:
            self._start(programs)
        except BaseException:
            self._remove()
            raise
        say(f"Kubernetes {layout.VERSION} is up after {time.monotonic() - began:.1f} s")

    def _start(self, programs: Path) -> None:
        self._prepare(programs)
        cgroups.create(cgroups.path_for(self._cgroup))
        log = self._logs / "hold.log"
        running = State({HOLDER: namespaces.create(self._directory, programs / HOLDER, log)})
        running.save(self.state_file)
        wanted = {each.name: each for each in components()}
        for name in EARLY:
            self._launch(running, wanted.pop(name))
        self._forward(running, FORWARDER, forwarding.STANDARD)
        self._write_kubeconfig(running.ports[forwarding.API])
        runtime = Runtime(running.processes[HOLDER])
        self._await("containerd", runtime.is_ready)
        runtime.load(pause_image(programs, IMAGES))
        self._await("kube-apiserver", self._api_is_ready)
        self._kubectl("create", "-f", str(self._directory / "config" / "bootstrap.yaml"))
        for component in wanted.values():
            self._launch(running, component)
        self._await_ready()

    def _await_ready(self) -> None:
        self._await("kube-apiserver", self._api_is_ready)
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
        group = cgroups.path_for(self._cgroup)
        for name, text in files(packages.cni_folder() or "", group).items():
            (config / name).write_text(text, encoding="utf-8")
        for client in CLIENTS:
            text = kubeconfig(pki, client.name, _server(layout.NODE_ADDRESS, layout.API_PORT))
            (config / f"{client.name}.kubeconfig").write_text(text, encoding="utf-8")

    def _launch(self, running: State, component: Component, inherited: Sequence[int] = ()) -> None:
        programs = build.kubernetes()
        say(f"starting {component.name}")
        built = programs / component.argv[0]
        path = str(built) if built.exists() else packages.program(component.argv[0])
        argv = [path or component.argv[0], *component.argv[1:]]
        what = namespaces.Start(argv, self._logs / f"{_file_name(component.name)}.log", inherited)
        running.processes[component.name] = namespaces.start(running.processes[HOLDER], what)
        running.save(self.state_file)

    def _forward(self, running: State, process: str, routes: forwarding.Routes) -> None:
        with Forwarding.listen(routes) as opened:
            running.ports.update(opened.ports())
            self._launch(running, opened.component(process), opened.descriptors())

    def _write_kubeconfig(self, port: int) -> None:
        text = kubeconfig(self._directory / "pki", ADMINISTRATOR, _server("127.0.0.1", port))
        self.kubeconfig().write_text(text, encoding="utf-8")
        self.kubeconfig().chmod(0o600)

    def down(self) -> None:
        """Kill the first process inside, and with it all others; remove the control group."""
        with exclusive(self._lock):
            self._remove()

    def _remove(self) -> None:
        found = state.load(self.state_file) or State()
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
        for path in (self.kubeconfig(), self.state_file):
            path.unlink(missing_ok=True)
        for name in ("pki", "config"):
            shutil.rmtree(self._directory / name, ignore_errors=True)

    def status(self) -> Status:
        """Say what runs and where to look."""
        found = state.load(self.state_file) or State()
        alive = {name: each.pid for name, each in found.processes.items() if each.is_alive()}
        details = {
            "logs": str(self._logs),
            "audit log": str(self._directory / "audit.log"),
            "kubeconfig": str(self.kubeconfig()),
            "dead": ", ".join(sorted(set(found.processes) - set(alive))) or "none",
        }
        for name, port in sorted(found.ports.items()):
            details[name] = f"127.0.0.1:{port}"
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
        """Give a port of this machine that leads to the Service, opening one where none does."""
        key = forwarding.key(namespace, name, port)
        with exclusive(self._lock):
            running = self._running()
            if key not in running.ports:
                target = forwarding.service_target(namespace, name, port)
                self._forward(running, key, {key: (0, target)})
        return f"127.0.0.1:{running.ports[key]}"

    def restart(self, name: str) -> None:
        """End one process without warning and start it again, as a test of faults wants it."""
        wanted = {each.name: each for each in components()}
        if name not in wanted:
            message = f"{name} cannot be restarted: use one of {', '.join(wanted)}"
            raise ClusterError(message)
        with exclusive(self._lock):
            running = self._running()
            running.processes[name].kill()
            state.wait_gone([running.processes[name]], STOP_SECONDS)
            self._launch(running, wanted[name])

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Give the command that runs ``argv`` in the cluster's network."""
        return namespaces.enter(self._holder(), argv)

    def _is_whole(self) -> bool:
        found = state.load(self.state_file)
        expected = {*CORE, *(each.name for each in components())}
        return found is not None and all(
            name in found.processes and found.processes[name].is_alive() for name in expected
        )

    def _running(self) -> State:
        found = state.load(self.state_file)
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

    def _api_is_ready(self) -> bool:
        try:
            return bool(self._kubectl("get", "--raw=/readyz"))
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


def _file_name(name: str) -> str:
    """Make a file name: a forwarder is named after its Service, with a slash in it."""
    return name.replace("/", "-").replace(":", "-")


def _server(address: str, port: int) -> str:
    return f"https://{address}:{port}"
