"""How long ``make demo`` will still take: an estimate, from what each part takes on the reference.

Used by ``prepare`` and ``story``. Parts are struck off as they end; the one that compiles knows
better and says it itself. Pure but for the factor of this machine, which the caller gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PREPARING: Mapping[str, float] = {"cluster": 10, "load": 15, "install": 25, "measure": 20}
FIRST_TIME: Mapping[str, float] = {"packages": 10, "compile": 310}
"""Once on a machine."""
PHASES: Mapping[str, float] = {
    "first answer": 6,
    "scale up": 55,
    "roll out": 25,
    "scale down": 50,
    "to zero": 10,
    "wake": 5,
    "in the cluster": 1,
}
_LEFT = re.compile(r"about (\d+) s left")


class Remaining:
    """Seconds that are left."""

    def __init__(self, parts: Mapping[str, float], factor: float = 1.0) -> None:
        """``factor``: how many times as long as on the reference this machine takes."""
        self._parts = {name: seconds * factor for name, seconds in parts.items()}

    def ended(self, name: str) -> None:
        """A part is over, or was not needed."""
        self._parts.pop(name, None)

    def hears(self, line: str) -> bool:
        """A line of the compiling part; whether it said how long that will take."""
        found = _LEFT.search(line)
        if found:
            self.ended("packages")
            self._parts["compile"] = float(found[1])
        return found is not None

    def said(self) -> str:
        """For people; minutes where seconds would only pretend."""
        seconds = sum(self._parts.values())
        if seconds < 90:
            return f"about {max(5, 5 * round(seconds / 5)):.0f} s left"
        return f"about {seconds / 60:.1f} min left"
