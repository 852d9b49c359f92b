"""The namespaces that hold the whole cluster, and how a process gets into them.

Used by ``cluster``. The first process inside (``hold``) owns them: killing it makes the kernel kill
all others, and mounts and interfaces vanish with the last one. The user namespace and the control
groups stay the machine's. Nothing here may change the machine's own network or mounts.

Python 3.11 has no ``os.setns``, hence the two calls into the C library. A process id namespace
is only entered by children, so the caller switches it for one start and back again.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.base import ClusterError
from tests.cluster.console import tail

from . import layout
from .state import Process

MOUNTS, NETWORK, PROCESSES = 0x00020000, 0x40000000, 0x20000000
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

# $1: this checkout's build/cluster, $2: the program that stays. /run and /var are made writable
# copies, because containerd, the kubelet and the network plugins insist on fixed places there.
SETUP = f"""
mount --make-rslave /
mount --make-rshared /
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 modelfleet /run
mkdir -p {layout.STATE} {layout.RUN}/var {layout.RUN}/work /run/netns
mount --bind "$1" {layout.STATE}
mount -t overlay -o lowerdir=/var,upperdir={layout.RUN}/var,workdir={layout.RUN}/work var /var
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add {layout.BRIDGE} type bridge
ip address add {layout.NODE_ADDRESS}/{layout.NODE_PREFIX} dev {layout.BRIDGE}
ip link set {layout.BRIDGE} up
ip route add default dev {layout.BRIDGE}
exec "$2" "$1"
"""

_library = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor: int, kind: int) -> None:
    if _library.setns(descriptor, kind):
        raise OSError(ctypes.get_errno(), "setns")


def _unshare(kinds: int) -> None:
    if _library.unshare(kinds):
        raise OSError(ctypes.get_errno(), "unshare")


@contextmanager
def _children_elsewhere(enter: Callable[[], None]) -> Iterator[None]:
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        enter()
        try:
            yield
        finally:
            _setns(own, PROCESSES)
    finally:
        os.close(own)


def _bury_when_ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for our child in the background: its namespace cannot end before it is buried."""
    threading.Thread(target=process.wait, daemon=True).start()


def create(directory: Path, hold: Path, log: Path) -> Process:
    """Make the namespaces and give the process that owns them."""
    with log.open("wb") as output, _children_elsewhere(lambda: _unshare(PROCESSES)):
        process = subprocess.Popen(
            ["sh", "-ec", SETUP, "hold", str(directory), str(hold)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: _unshare(NETWORK | MOUNTS),  # noqa: PLW1509 - only calls the kernel
        )
    answer = process.stdout.readline() if process.stdout else b""
    holder = Process.of(process.pid)
    _bury_when_ended(process)
    if answer != b"holding\n" or holder is None:
        message = f"cannot make the cluster's namespaces: {tail(log.read_text(encoding='utf-8'))}"
        raise ClusterError(message)
    return holder


@dataclass(frozen=True)
class Start:
    """One process to start inside: where its output goes and which descriptors it inherits."""

    argv: Sequence[str]
    log: Path
    descriptors: Sequence[int] = ()


def start(holder: Process, what: Start) -> Process:
    """Start a process inside all namespaces, in a session of its own."""
    with ExitStack() as stack:
        kinds = {"net": NETWORK, "mnt": MOUNTS, "pid": PROCESSES}
        opened: dict[int, int] = {}
        for name, kind in kinds.items():
            opened[kind] = os.open(f"/proc/{holder.pid}/ns/{name}", os.O_RDONLY)
            stack.callback(os.close, opened[kind])

        def join() -> None:
            _setns(opened[NETWORK], NETWORK)
            _setns(opened[MOUNTS], MOUNTS)
            # Pods inherit it from containerd, and thousands of connections are tested.
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

        output = stack.enter_context(what.log.open("ab"))
        stack.enter_context(_children_elsewhere(lambda: _setns(opened[PROCESSES], PROCESSES)))
        process = subprocess.Popen(
            what.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            pass_fds=what.descriptors,
            start_new_session=True,
            preexec_fn=join,  # noqa: PLW1509 - only calls the kernel
        )
    started = Process.of(process.pid) or Process(process.pid, 0)
    _bury_when_ended(process)
    return started


def enter(holder: Process, argv: Sequence[str]) -> list[str]:
    """Give the command that runs ``argv`` in the cluster's network, with this machine's files."""
    # Not "ip netns exec": it mounts /sys anew and hides the control groups.
    return ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--", *argv]


def holders_of(directory: Path) -> list[Process]:
    """Find first processes of this checkout by their command line, should the state be lost."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"/hold") and words[1:2] == [str(directory).encode()]:
                    found.append(Process.of(int(entry.name)))
    return [each for each in found if each is not None]
