"""How fast this machine is, beside the one on which the bounds of time in the tests were chosen.

Used by ``tests.stack`` for every bounded wait, and printed by ``tests.run``. A fixed task is done
on all cores at once, so that a quota (``SLOW=0.5``) and neighbours count, too. Bounds only grow: no
test may need a fast machine, and none may become stricter on one.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time

REFERENCE_SECONDS = 0.85
"""The task on the machine that the bounds were chosen on, two idle cores."""
TASK = "n = 0\nfor i in range(6_000_000):\n    n = (n * 31 + i) & 0xFFFFFFFF"
VARIABLE = "MODELFLEET_MACHINE_TIMES"
"""What a session found is handed down to the processes that it starts."""
SHARPER = 1.5
"""Queues grow faster than the machine gets slower."""


def seconds() -> float:
    """Do the task on all cores at once; the longest time that it took."""
    command = [sys.executable, "-S", "-c", TASK]
    began = time.perf_counter()
    running = [subprocess.Popen(command) for _ in os.sched_getaffinity(0)]
    for process in running:
        process.wait()
    return time.perf_counter() - began


@functools.cache
def times() -> float:
    """How many times as long as the reference this machine takes; measured once per session."""
    handed = os.environ.get(VARIABLE)
    if handed is None:
        handed = os.environ[VARIABLE] = f"{seconds() / REFERENCE_SECONDS:.2f}"
    return float(handed)


def patience(bound: float) -> float:
    """Bound of a wait on this machine, from that of the reference."""
    return bound * factor(times())


def factor(slower: float) -> float:
    """1 up to the reference's own time, then more than in proportion: 2 gives 2.5."""
    return max(1.0, 1.0 + SHARPER * (slower - 1.0))


def said() -> str:
    """What was measured, for people."""
    return (
        f"a fixed task takes {times():.2f} times as long as on the reference machine; "
        f"bounds of time x {factor(times()):.2f}"
    )


if __name__ == "__main__":
    print(said())
