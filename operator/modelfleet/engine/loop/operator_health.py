"""Is the operator alive and of use? Answers for the kubelet and for people.

Served by `main`. A dead watch, a lost Lease or a stuck loop must show here: an operator that
looks well and does nothing is the worst of all.
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
    """Collects signs of life. `checks` by name give None when well, else what is wrong."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        self._monotonic = monotonic
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._beat_at = monotonic()

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """One more check."""
        self._checks[name] = check

    def watch(self, kind: str, silent_seconds: Callable[[], float]) -> None:
        """Check that a watch was heard from a short while ago."""

        def check() -> str | None:
            silence = silent_seconds()
            metrics.WATCH_SILENCE.labels(kind).set(min(silence, 1e9))
            if silence > MAX_SILENT_SECONDS:
                return f"watch of {kind} is silent for {silence:.0f} s"
            return None

        self.add(f"watch {kind}", check)

    def waits(self, oldest_seconds: Callable[[], float]) -> None:
        """Check that no key waits for too long."""

        def check() -> str | None:
            oldest = oldest_seconds()
            return f"a turn waits for {oldest:.0f} s" if oldest > MAX_WAIT_SECONDS else None

        self.add("queue", check)

    async def beat(self) -> None:
        """Run for ever; measures how late the loop is."""
        while True:
            before = self._monotonic()
            await asyncio.sleep(_BEAT_SECONDS)
            self._beat_at = self._monotonic()
            metrics.LOOP_LAG.set(max(0.0, self._beat_at - before - _BEAT_SECONDS))

    def report(self) -> Mapping[str, str]:
        """What is wrong, by check; empty when all is well."""
        found = {name: wrong for name, check in self._checks.items() if (wrong := check())}
        late = self._monotonic() - self._beat_at
        if late > MAX_LAG_SECONDS:
            found["loop"] = f"the event loop is {late:.0f} s late"
        return found
