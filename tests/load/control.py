"""What the driver may say while the generator runs: one JSON object a line on standard input.

Read by ``__main__``, applied to ``generator``. Commands: ``{"steps": [[seconds, from, to], ...]}``
replaces the schedule from now on; ``{"allow": {version: kind of labels}}`` replaces the allow-list;
``{"phase": name}`` starts a tally of its own; ``{"once": n}`` sends n requests now and reports
each; ``{"stop": true}`` ends sending. Several keys in one line take effect at one moment, in
this order: allow, phase, steps, once, stop. A wrong line ends the run: it must never be ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .schedule import PlanError, Step, read_steps

MAX_AT_ONCE = 1_000
_KNOWN = {"steps", "allow", "phase", "once", "stop"}


@dataclass(frozen=True, slots=True)
class Command:
    """One line; None means that it says nothing about that."""

    steps: tuple[Step, ...] | None = None
    allow: Mapping[str, str] | None = None
    phase: str | None = None
    once: int = 0
    stop: bool = False


def read_command(line: str | bytes) -> Command:
    """Read one line; raises PlanError."""
    try:
        value = json.loads(line)
    except ValueError as error:
        msg = f"command is no JSON: {line!r}"
        raise PlanError(msg) from error
    if not isinstance(value, dict) or not value or set(value) - _KNOWN:
        msg = f"command must have keys out of {', '.join(sorted(_KNOWN))}: {line!r}"
        raise PlanError(msg)
    once = value.get("once", 0)
    if not isinstance(once, int) or not 0 <= once <= MAX_AT_ONCE:
        msg = f"once must be in [0, {MAX_AT_ONCE}]"
        raise PlanError(msg)
    return Command(
        steps=read_steps(value["steps"]) if "steps" in value else None,
        allow=_read_allow(value["allow"]) if "allow" in value else None,
        phase=str(value["phase"]) if "phase" in value else None,
        once=once,
        stop=bool(value.get("stop", False)),
    )


def _read_allow(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise PlanError("allow must map versions to kinds of labels")
    return dict(value)
