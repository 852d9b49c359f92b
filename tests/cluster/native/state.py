"""What a running native cluster is made of, remembered across commands.

Written by ``cluster`` as soon as a process exists and read by every later command, so that what a
killed run left is found. A process is known by its id *and* its start time: an id is used again
by the kernel, and nothing but our own processes may ever be ended.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the name in parentheses
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """One process of this machine; ``started`` is in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Look a running process up; None where there is none (a zombie counts as none)."""
        with suppress(OSError):
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            fields = text.rpartition(")")[2].split()
            if fields[0] not in "ZX":
                return cls(pid, int(fields[START_TIME_FIELD]))
        return None

    def is_alive(self) -> bool:
        """Say whether it still is the same process."""
        return Process.of(self.pid) == self

    def kill(self) -> None:
        """End it at once, unless it is another one by now."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@dataclass
class State:
    """All processes by name, and the ports of this machine that lead inside."""

    processes: dict[str, Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it in one piece: a reader never sees half."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)


def load(path: Path) -> State | None:
    """Read what a run left; None where there is nothing that can be understood."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        processes = {
            str(name): Process(int(each["pid"]), int(each["started"]))
            for name, each in document["processes"].items()
        }
        ports = {str(name): int(port) for name, port in document["ports"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return State(processes, ports)


def wait_gone(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait until none is alive; give those that still are when the time is over."""
    deadline = time.monotonic() + seconds
    left = list(dict.fromkeys(processes))
    while left := [each for each in left if each.is_alive()]:
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    return left
