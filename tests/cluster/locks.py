"""Keep two commands of the same checkout apart, as people and tests run at the same time.

Used around compiling, building images, and starting or stopping the cluster. The kernel frees a
lock when its process ends, however it ends, so no lock is ever stale.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .console import say


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of this file; wait for another holder, and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another command that holds {path.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
