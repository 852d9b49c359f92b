"""Queue of keys: any number of wakes become one turn, and a key never runs twice at once.

Watches, stores, gateways and the tick wake keys; `loop.worker` takes them while the Lease is held.
A new leader begins with the keys of all models. Semantics as in client-go's
workqueue: a wake during a turn makes one more turn after it. Fresh wakes go before
wakes that are due by time.
"""

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable

from modelfleet.facts.identity import Key
from modelfleet.telemetry import metrics

BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class KeyQueue:
    """Keys that wait for a turn."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        self._monotonic = monotonic
        self._fresh: deque[Key] = deque()
        self._due: deque[Key] = deque()
        self._waiting: dict[Key, float] = {}
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._later: list[tuple[float, int, Key]] = []
        self._planned: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._counter = itertools.count()
        self._moved_at = monotonic()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        """Count the keys that wait, without those planned for later."""
        return len(self._waiting)

    @property
    def stuck_seconds(self) -> float:
        """Return for how long keys have waited while no turn began or ended; 0 when none waits."""
        now = self._monotonic()
        return now - max(self._moved_at, min(self._waiting.values(), default=now))

    def restart(self, keys: Iterable[Key]) -> None:
        """Begin with these keys alone; for a new leader, while no worker runs."""
        for part in (self._fresh, self._due, self._waiting, self._running, self._again):
            part.clear()
        self._later.clear()
        self._planned.clear()
        self._failures.clear()
        self._moved_at = self._monotonic()
        for key in keys:
            self.wake(key)

    def wake(self, key: Key) -> None:
        """Ask for a turn soon."""
        self._add(key, self._fresh)

    def wake_later(self, key: Key, seconds: float) -> None:
        """Ask for a turn in `seconds`; the soonest of several requests counts."""
        due = self._monotonic() + seconds
        if self._planned.get(key, float("inf")) <= due:
            return
        self._planned[key] = due
        heapq.heappush(self._later, (due, next(self._counter), key))
        self._arrived.set()

    def failed(self, key: Key, retry_after: float | None = None) -> float:
        """Plan another try after a failure; return the pause in seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause = BACKOFF_SECONDS[min(count, len(BACKOFF_SECONDS) - 1)]
        if retry_after is not None:
            pause = max(pause, retry_after)
        self.wake_later(key, pause)
        return pause

    def succeeded(self, key: Key) -> None:
        """Forget earlier failures."""
        self._failures.pop(key, None)

    async def take(self) -> Key:
        """Return the next key, when there is one; the caller must end it with `done`."""
        while True:
            pause = self._promote()
            for line in (self._fresh, self._due):
                if line:
                    key = line.popleft()
                    self._moved_at = self._monotonic()
                    waited = self._moved_at - self._waiting.pop(key)
                    metrics.QUEUE_SECONDS.observe(waited)
                    self._running.add(key)
                    if self._fresh or self._due:
                        self._arrived.set()
                    return key
            self._arrived.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def observed(self, key: Key) -> None:
        """Drop the wakes of a key: a pass that looks at everything now serves them all.

        The turn plans its wakes by time anew when it ends.
        """
        self._again.discard(key)
        self._planned.pop(key, None)

    def done(self, key: Key) -> None:
        """End a turn; a wake that came during it is served now."""
        self._running.discard(key)
        self._moved_at = self._monotonic()
        if key in self._again:
            self._again.discard(key)
            self._add(key, self._fresh)

    def _add(self, key: Key, line: deque[Key]) -> None:
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._monotonic()
            line.append(key)
            self._arrived.set()

    def _promote(self) -> float | None:
        """Move the keys that are due.

        Returns the seconds until the next one; None without any.
        """
        now = self._monotonic()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._planned.get(key) == due:
                del self._planned[key]
                self._add(key, self._due)
        return self._later[0][0] - now if self._later else None
