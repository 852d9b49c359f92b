"""Health of the operator: answers for the kubelet and for people.

`telemetry.endpoints` serves the report. A dead watch, a lost Lease or a stuck loop must show here.
An operator that looks well and does nothing is the worst case.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from modelfleet.telemetry import metrics

MAX_SILENT_SECONDS = 180.0
MAX_LAG_SECONDS = 10.0
MAX_WAIT_SECONDS = 120.0
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

    def watch(self, kind: str, silent_seconds: Callable[[], float]) -> None:
        """Check that a watch has received something within the last 180 s."""

        def check() -> str | None:
            silence = silent_seconds()
            metrics.WATCH_SILENCE.labels(kind).set(min(silence, 1e9))
            if silence > MAX_SILENT_SECONDS:
                return f"watch of {kind} is silent for {silence:.0f} s"
            return None

        self.add(f"watch {kind}", check)

    def waits(self, oldest_seconds: Callable[[], float]) -> None:
        """Check that no key waits for longer than 120 s."""

        def check() -> str | None:
            oldest = oldest_seconds()
            return f"a turn waits for {oldest:.0f} s" if oldest > MAX_WAIT_SECONDS else None

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
