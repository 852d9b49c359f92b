"""The control group that holds all pods, on machines with version 1 and with version 2.

Used by ``cluster``: made before the kubelet starts, removed after everything ended. It must never
touch a group of another name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.cluster.base import ClusterError

MOUNT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids", "hugetlb", "io")
PATIENCE_SECONDS = 5.0


def name_for(directory: Path) -> str:
    """Give each checkout its own group: two clusters of one machine must not meet."""
    return f"modelfleet-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def create(name: str, mount: Path = MOUNT) -> None:
    """Make the group in every hierarchy."""
    if (mount / "cgroup.controllers").exists():
        _create_unified(mount, name)
        return
    for hierarchy in _hierarchies(mount):
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        # A new cpuset is empty and takes no process until it is filled.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (group / file).exists():
                value = (hierarchy / file).read_text(encoding="utf-8")
                (group / file).write_text(value, encoding="utf-8")


def _create_unified(mount: Path, name: str) -> None:
    offered = (mount / "cgroup.controllers").read_text(encoding="utf-8").split()
    wanted = " ".join(f"+{each}" for each in NEEDED if each in offered)
    group = mount / name
    try:
        (mount / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")
        group.mkdir(exist_ok=True)
        (group / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")
    except OSError as error:
        message = f"cannot make the control group {group}: {error.strerror}"
        raise ClusterError(message) from error


def remove(name: str, mount: Path = MOUNT) -> list[Path]:
    """Remove the group everywhere; give the directories that could not be removed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        left = [each for each in _groups(name, mount) if not _removed(each)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)  # the kernel still buries the last processes


def _groups(name: str, mount: Path) -> Iterator[Path]:
    for hierarchy in (mount, *_hierarchies(mount)):
        top = hierarchy / name
        if top.is_dir():
            inner = [each for each in top.rglob("*") if each.is_dir()]
            yield from sorted(inner, key=lambda each: (-len(each.parts), str(each)))
            yield top


def _hierarchies(mount: Path) -> list[Path]:
    return sorted(
        each for each in mount.iterdir() if (each / "cgroup.procs").exists() and each.is_mount()
    )


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()
