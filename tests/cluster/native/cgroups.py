"""The control group that holds all pods, on machines with version 1 and with version 2.

Used by ``cluster``: made before the kubelet starts, removed after everything ended. Under a quota
(``tests.slow``) it lies in the group that has it. It must never touch a group of another name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests import slow
from tests.cluster.base import ClusterError

MOUNT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids", "hugetlb", "io")
PATIENCE_SECONDS = 5.0


def name_for(directory: Path) -> str:
    """Give each checkout its own group: two clusters of one machine must not meet."""
    return f"modelfleet-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def path_for(name: str) -> str:
    """Where the group belongs: below the quota that this process is under, if any."""
    return "/".join(part for part in (slow.group_of(), name) if part)


def create(path: str, mount: Path = MOUNT) -> None:
    """Make the group in every hierarchy, with the one above it."""
    if (mount / "cgroup.controllers").exists():
        _create_unified(mount, path)
        return
    for hierarchy in _hierarchies(mount):
        group = hierarchy
        for part in path.split("/"):
            _fill(hierarchy, group / part)
            group /= part


def _fill(hierarchy: Path, group: Path) -> None:
    group.mkdir(exist_ok=True)
    # A new cpuset is empty and takes no process until it is filled.
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (group / file).exists():
            value = (hierarchy / file).read_text(encoding="utf-8")
            (group / file).write_text(value, encoding="utf-8")


def _create_unified(mount: Path, path: str) -> None:
    offered = (mount / "cgroup.controllers").read_text(encoding="utf-8").split()
    wanted = " ".join(f"+{each}" for each in NEEDED if each in offered)
    group = mount
    try:
        for part in path.split("/"):
            (group / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")
            group /= part
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
            break
        time.sleep(0.05)  # the kernel still buries the last processes
    for hierarchy in (mount, *_hierarchies(mount)):
        for above in hierarchy.glob(f"{slow.PREFIX}*"):
            # One that still holds a command or another cluster stays.
            for each in (above / slow.HERE, above):
                _removed(each)
    return left


def _groups(name: str, mount: Path) -> Iterator[Path]:
    for hierarchy in (mount, *_hierarchies(mount)):
        for top in (hierarchy / name, *hierarchy.glob(f"{slow.PREFIX}*/{name}")):
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
