"""The shipped operator, made to die at its writes. Run as a process by the campaign.

`python -m tests.faults.dying LEDGER`: the file says by kind of write which points are still to be
died at, in order; without one left for a kind its writes pass. At a point the ledger is written
and the process is killed with SIGKILL: `before` the write is sent, in the `middle` (sent, the
answer not awaited) or `after` (the answer has come, nobody has seen it). Leases and events are not
counted. Nothing of the product is changed but the one method that sends.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

from modelfleet.kube.client import KubeClient

LONGEST_MIDDLE_SECONDS = 0.008
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


def die() -> None:
    """As `kill -9` would."""
    os.kill(os.getpid(), signal.SIGKILL)


def kind_of(method: str, path: str) -> str:
    """`PATCH mlmodels/status` of a request; the object's name plays no part."""
    parts = path.strip("/").split("/")
    rest = parts[parts.index("namespaces") + 2 :]
    return f"{method} {'/'.join([rest[0], *rest[2:]])}"


class Ledger:
    """Points that are left: for each kind, once it has been met, and those of a new kind."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def take(self, kind: str) -> str | None:
        """The next point of a kind, struck off; None when none is left."""
        book = json.loads(self._file.read_text())
        left = book["left"].setdefault(kind, list(book["round"]))
        point = left.pop(0) if left else None
        if point is not None:
            book["died"].append([kind, point])
        self._file.write_text(json.dumps(book))
        return point


def arm(ledger: Ledger, chance: random.Random) -> None:
    """From now on a write with a point left is the last thing this process does."""
    send = KubeClient._send

    async def sending(self: KubeClient, method: str, path: str, **more: Any) -> dict[str, Any]:
        counts = method in WRITES and more.get("kind") not in {"Lease", "Event"}
        point = ledger.take(kind_of(method, path)) if counts else None
        if point is None:
            return await send(self, method, path, **more)
        sys.stderr.write(f"DYING {point} {method} {path}\n")
        sys.stderr.flush()
        if point == "before":
            die()
        if point == "middle":
            pause = chance.uniform(0.0, LONGEST_MIDDLE_SECONDS)
            asyncio.get_running_loop().call_later(pause, die)
        await send(self, method, path, **more)
        die()
        return {}

    KubeClient._send = sending  # type: ignore[method-assign]


if __name__ == "__main__":
    import uvloop

    from modelfleet.compose.operator import operator
    from modelfleet.settings import Settings

    arm(Ledger(Path(sys.argv[1])), random.Random(int(sys.argv[2])))
    sys.exit(uvloop.run(operator(Settings())))
