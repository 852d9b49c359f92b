"""The shipped operator, made to die at one of its writes. Run as a process by the campaign.

`python -m tests.faults.dying AFTER POINT`: the first AFTER writes pass, the next one kills the
process with SIGKILL: `before` it is sent, `middle` (sent, the answer not awaited) or `after` (the
answer has come, nobody has seen it). Leases are not counted. Nothing of the product is changed
but the one method that sends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from modelfleet.kube.client import KubeClient

MIDDLE_SECONDS = 0.003
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


def die() -> None:
    """As `kill -9` would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(passing: int, point: str) -> None:
    """From now on the write after `passing` ones is the last thing this process does."""
    send = KubeClient._send
    left = passing

    async def sending(self: KubeClient, method: str, path: str, **more: Any) -> dict[str, Any]:
        nonlocal left
        if method not in WRITES or more.get("kind") in {"Lease", "Event"}:
            return await send(self, method, path, **more)
        if left > 0:
            left -= 1
            return await send(self, method, path, **more)
        sys.stderr.write(f"DYING {point} {method} {path}\n")
        sys.stderr.flush()
        if point == "before":
            die()
        if point == "middle":
            asyncio.get_running_loop().call_later(MIDDLE_SECONDS, die)
            await send(self, method, path, **more)
        await send(self, method, path, **more)
        die()
        return {}

    KubeClient._send = sending  # type: ignore[method-assign]


if __name__ == "__main__":
    import uvloop

    from modelfleet.main import operator
    from modelfleet.settings import Settings

    if sys.argv[2] != "never":
        arm(int(sys.argv[1]), sys.argv[2])
    sys.exit(uvloop.run(operator(Settings())))
