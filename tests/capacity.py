"""What this machine can do: measured first, so that tests and the demo choose rates that fit it.

Used by ``tests.demo`` and ``tests/e2e``. ``measure`` loads one model in a closed loop, from the
generator's own code and process. Two numbers matter: what one replica carries, and what all
processes of the machine can do together (generator, gateways, servers share its cores). Rates are
chosen by pure functions. It must never choose a rate that the machine was not seen to bear.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACED_IMAGE = "modelfleet/paced:dev"
"""The shipped server, whose inferences take time and no CPU (``tests.cluster.paced_server``)."""
SHARE_OF_MACHINE = 0.35
"""More leaves too little for pods that start, the operator and neighbours."""
SHARE_OF_REPLICAS = 0.6
"""Of what all replicas carry: below it waits are short."""
MORE_THAN_ONE = 1.3
"""Times what one replica carries, so that a second one is needed."""
WORKERS, SECONDS = 8, 4.0


class TooSlowError(Exception):
    """No rate fits; the text says the numbers, for a person to read."""


@dataclass(frozen=True)
class Capacity:
    """Requests per second."""

    machine: float
    """Everything together, where servers take no time of their own."""
    one: float
    """One replica, one request at a time."""
    generator: float | None = None
    """The generator alone, from its CPU time; it has one core."""

    def said(self) -> str:
        """For people."""
        alone = f", the generator alone {self.generator:.0f}" if self.generator else ""
        return (
            f"this machine can do {self.machine:.0f} requests/s in all{alone}; "
            f"one replica carries {self.one:.0f}"
        )


def high(found: Capacity, most_replicas: int, wanted: float) -> float:
    """The rate that needs more than one replica and that the machine bears; at most ``wanted``."""
    least = MORE_THAN_ONE * found.one
    bearable = SHARE_OF_MACHINE * found.machine
    if found.generator is not None:
        bearable = min(bearable, SHARE_OF_MACHINE * found.generator)
    rate = min(wanted, SHARE_OF_REPLICAS * most_replicas * found.one, bearable)
    if rate < least:
        message = (
            f"{found.said()}: traffic for two replicas ({least:.0f} requests/s) is more than "
            f"{SHARE_OF_MACHINE:.0%} of that"
        )
        raise TooSlowError(message)
    return float(int(rate))


def pace_for(machine: float, most_replicas: int, wanted: float) -> int:
    """Milliseconds that an inference must take, so that ``high`` has room on a slow machine."""
    rate = min(wanted, SHARE_OF_MACHINE * machine)
    return max(1, round(1000 * SHARE_OF_REPLICAS * most_replicas / rate))


def measure(plan: Mapping[str, Any], folder: Path, workers: int = WORKERS) -> dict[str, Any]:
    """Load the plan's target in a closed loop; raises TooSlowError where answers were wrong."""
    path = folder / "closed-plan.json"
    path.write_text(json.dumps(dict(plan)), encoding="utf-8")
    words = ("--plan", str(path), "--workers", str(workers), "--seconds", str(SECONDS))
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.closed", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"the measurement of this machine ended with {done.stderr.strip()[-500:]}"
        raise TooSlowError(message)
    found: dict[str, Any] = json.loads(done.stdout)
    if found["failed"] or not found["requests_per_second"]:
        message = f"this machine could not be measured: {found}"
        raise TooSlowError(message)
    return found
