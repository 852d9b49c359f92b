"""Back-off: pauses between attempts at something outside that fails again and again.

`kube`, `frontdoor` and `compose` use it. Each pause is twice the one before, up to a longest one.
Jitter keeps many processes from coming back at one moment. A server that gives a time in
`Retry-After` is not asked earlier, up to a minute. Must never give up.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 5.0
"""After an outage of any length the next attempt comes within this time."""
LONGEST_ASKED_SECONDS = 60.0
"""Longest pause that a server can ask for."""
MAX_DOUBLINGS = 16


class Backoff:
    """The pauses of one series of attempts."""

    def __init__(
        self,
        first_seconds: float = FIRST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` gives numbers from 0 to 1; a pause is between half of its length and all."""
        self.failures = 0
        self._first_seconds, self._longest_seconds = first_seconds, longest_seconds
        self._sleep, self._chance = sleep, chance

    def next_seconds(self, error: BaseException | None = None) -> float:
        """Count one more failure; return the pause that follows it."""
        doublings = min(self.failures, MAX_DOUBLINGS)
        self.failures += 1
        longest = min(self._first_seconds * 2.0**doublings, self._longest_seconds)
        asked: float = getattr(error, "retry_after", None) or 0.0
        return max(longest * (0.5 + 0.5 * self._chance()), min(asked, LONGEST_ASKED_SECONDS))

    async def pause(self, error: BaseException | None = None) -> None:
        """Pause after a failure; `error` may carry a time in `retry_after`."""
        await self._sleep(self.next_seconds(error))

    def reset(self) -> None:
        """Begin anew after a success."""
        self.failures = 0
