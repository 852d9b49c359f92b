"""``make TARGET SLOW=0.5``: a target as on a slower machine, under one quota of CPU time.

Started by the Makefile as ``python3 -m tests.slow run SHARE -- COMMAND``; asked by
``tests.cluster``, which puts the cluster's processes and pods under the same quota. A share of 0.5
leaves half of all cores; ``tests.share`` shows that it does. It must never touch a group of another
name, nor leave one behind that holds no process.

    modelfleet-slow-<checkout>        the quota
        here                          the command: make, tests, load, the cluster's own processes
        modelfleet-<checkout>         the pods (``tests.cluster.native.cgroups``)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.base import ClusterError
from tests.cluster.console import say
from tests.cluster.paths import ROOT

PREFIX = "modelfleet-slow-"
HERE = "here"
PERIOD_MICROSECONDS = 20_000
"""Shorter than usual (100 ms): a slower machine stands still for no request that long."""
MIN_SHARE = 0.05
GONE_SECONDS = 5.0


@dataclass(frozen=True)
class Hierarchy:
    """Where control groups with the CPU controller are mounted."""

    mount: Path
    unified: bool

    def set_quota(self, group: Path, share: float, cores: int) -> None:
        """Bound the CPU time of a group."""
        quota = quota_of(share, cores)
        if self.unified:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}", encoding="utf-8")
            return
        for name, value in (("period", PERIOD_MICROSECONDS), ("quota", quota)):
            (group / f"cpu.cfs_{name}_us").write_text(str(value), encoding="utf-8")

    def cores_of(self, group: Path) -> float | None:
        """Cores' worth of CPU time that a group may use; None without a bound."""
        with suppress(OSError, ValueError):
            if self.unified:
                quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
            else:
                quota = (group / "cpu.cfs_quota_us").read_text(encoding="utf-8")
                period = (group / "cpu.cfs_period_us").read_text(encoding="utf-8")
            return int(quota) / int(period) if int(quota) > 0 else None
        return None


def share_of(text: str) -> float:
    """Read the share from the command line; raises ClusterError with what it may be."""
    with suppress(ValueError):
        share = float(text)
        if MIN_SHARE <= share <= 1:
            return share
    message = f"SLOW={text}: give the share of the machine to use, from {MIN_SHARE} to 1"
    raise ClusterError(message)


def quota_of(share: float, cores: int) -> int:
    """Microseconds of CPU time in each period."""
    return round(share * cores * PERIOD_MICROSECONDS)


def hierarchy_in(mounts: str) -> Hierarchy | None:
    """Find the CPU controller in the text of /proc/mounts; version 1 first, as it excludes 2."""
    unified = None
    for line in mounts.splitlines():
        _, path, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            return Hierarchy(Path(path), unified=False)
        if kind == "cgroup2":
            unified = unified or Hierarchy(Path(path), unified=True)
    return unified


def path_in(text: str) -> str:
    """Path of a process's group, from the text of /proc/PID/cgroup."""
    unified = ""
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return path
        if number == "0":
            unified = path
    return unified


def group_in(path: str) -> str:
    """Name of the group with our quota in a path; empty where there is none."""
    first = path.strip("/").split("/")[0]
    return first if first.startswith(PREFIX) else ""


def group_of(process: int | str = "self") -> str:
    """Name of the group whose quota holds for a process; empty where none of ours does."""
    with suppress(OSError):
        return group_in(path_in(Path(f"/proc/{process}/cgroup").read_text(encoding="utf-8")))
    return ""


def name_for(directory: Path) -> str:
    """Give each checkout its own group, as its cluster has one."""
    return f"{PREFIX}{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def cores_allowed(process: int | str = "self") -> float | None:
    """Cores' worth of CPU time that a process may use; None without a quota of ours."""
    group, hierarchy = group_of(process), _hierarchy()
    return hierarchy.cores_of(hierarchy.mount / group) if hierarchy and group else None


def speed_of(process: int | str = "self") -> str:
    """Say how much of the machine a process may use, for people."""
    cores = cores_allowed(process)
    return f"{cores:g} of {_cores()} cores" if cores else "the whole machine"


def _hierarchy() -> Hierarchy | None:
    with suppress(OSError):
        return hierarchy_in(Path("/proc/mounts").read_text(encoding="utf-8"))
    return None


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def make(share: float) -> tuple[Hierarchy, Path]:
    """Make the group; raises ClusterError that says what the machine lacks."""
    hierarchy = _hierarchy()
    if hierarchy is None:
        message = "SLOW needs Linux control groups with the CPU controller; none is mounted here"
        raise ClusterError(message)
    group = hierarchy.mount / name_for(ROOT)
    try:
        if hierarchy.unified:
            _delegate(hierarchy.mount)
        group.mkdir(exist_ok=True)
        if hierarchy.unified:
            _delegate(group)
        hierarchy.set_quota(group, share, _cores())
        (group / HERE).mkdir(exist_ok=True)
    except OSError as error:
        message = f"SLOW cannot set a quota in {group}: {error.strerror}; it needs root"
        raise ClusterError(message) from error
    return hierarchy, group


def _delegate(group: Path) -> None:
    (group / "cgroup.subtree_control").write_text("+cpu", encoding="utf-8")


def remove(group: Path) -> bool:
    """Remove the group once no process is left in it; False where some stay."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        for each in (group / HERE, group):
            with suppress(OSError):
                each.rmdir()
        if not group.exists():
            return True
        # The kernel still buries the last processes; what somebody left running stays.
        if (group / HERE).is_dir() and not _is_dying(group / HERE):
            return False
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def _is_dying(group: Path) -> bool:
    with suppress(OSError):
        return not (group / "cgroup.procs").read_text(encoding="utf-8").strip()
    return True


def run(share: float, command: Sequence[str]) -> int:
    """Run a command under the quota, and give its exit code."""
    _, group = make(share)
    say(f"SLOW={share:g}: {share * _cores():g} of {_cores()} cores for everything that is started")
    members = os.open(group / HERE / "cgroup.procs", os.O_WRONLY)
    process = subprocess.Popen(
        command,
        preexec_fn=lambda: os.write(members, b"0"),  # noqa: PLW1509 - only calls the kernel
    )
    os.close(members)
    # An interrupt of the terminal reaches the command, too; it cleans up, and we after it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    if not remove(group):
        say("the cluster stays up under the quota; `make cluster-down` ends it")
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    """Run a verb and give the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.slow", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    running = verbs.add_parser("run", help="run a command under a quota")
    running.add_argument("share")
    running.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        words = [each for each in options.command if each != "--"]
        return run(share_of(options.share), words)
    except ClusterError as error:
        say(f"error: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
