"""Health of the operator: answers for the kubelet and for people.

`telemetry.endpoints` serves the report. A watch that is stuck, turns that do not move and a late
event loop must show here: the kubelet then starts the process anew. An operator that looks well and
does nothing is the worst case. An API server that is away must never show here, because a new
process could do no more than this one.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from modelfleet.telemetry import metrics

MAX_STUCK_SECONDS = 180.0
"""Longer than any single request, pause or turn takes."""
MAX_LAG_SECONDS = 10.0
_BEAT_SECONDS = 1.0


class OperatorHealth:
    """Collects signs of life. `checks` by name return None when well, else the fault."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        self._monotonic = monotonic
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._beat_at = monotonic()

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Add a check."""
        self._checks[name] = check

    def watch(
        self,
        kind: str,
        silent_seconds: Callable[[], float],
        stuck_seconds: Callable[[], float],
    ) -> None:
        """Check that the watches of a kind made progress within the last 180 s.

        `silent_seconds` counts from the last event, which only a metric shows. `stuck_seconds`
        counts from the last page, event, answer or failed attempt.
        """

        def check() -> str | None:
            metrics.WATCH_SILENCE.labels(kind).set(min(silent_seconds(), 1e9))
            stuck = stuck_seconds()
            return (
                f"watch of {kind} is stuck for {stuck:.0f} s" if stuck > MAX_STUCK_SECONDS else None
            )

        self.add(f"watch {kind}", check)

    def turns(self, stuck_seconds: Callable[[], float]) -> None:
        """Check that turns begin or end while keys wait."""

        def check() -> str | None:
            stuck = stuck_seconds()
            return f"no turn moves for {stuck:.0f} s" if stuck > MAX_STUCK_SECONDS else None

        self.add("queue", check)

    async def beat(self) -> None:
        """Measure for ever how late the event loop is."""
        while True:
            before = self._monotonic()
            await asyncio.sleep(_BEAT_SECONDS)
            self._beat_at = self._monotonic()
            metrics.LOOP_LAG.set(max(0.0, self._beat_at - before - _BEAT_SECONDS))

    def report(self) -> Mapping[str, str]:
        """Return the faults by check; empty when all is well."""
        faults = {name: fault for name, check in self._checks.items() if (fault := check())}
        late_seconds = self._monotonic() - self._beat_at
        if late_seconds > MAX_LAG_SECONDS:
            faults["loop"] = f"the event loop is {late_seconds:.0f} s late"
        return faults
