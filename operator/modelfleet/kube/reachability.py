"""Reachability: whether the API server answers, and since when it does not.

`kube.client` records each answer and each failure. `compose` shows the fault at `/readyz` while the
operator starts. The log gets one line when an outage begins and one when it ends. Must never decide
anything: the requests themselves are tried again in any case.
"""

import time
from collections.abc import Callable

import structlog

OUTAGE_SECONDS = 5.0
"""A failure within so many seconds after an answer is that of one request."""

log = structlog.get_logger()


class Reachability:
    """The last answer of the API server, and the outage that lasts now."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        self._monotonic = monotonic
        self._answered_at = float("-inf")
        self._lost_at: float | None = None
        self._why = ""

    def answered(self) -> None:
        """Record an answer; an outage ends with it."""
        self._answered_at = self._monotonic()
        if self._lost_at is not None:
            seconds = round(self._answered_at - self._lost_at, 1)
            self._lost_at = None
            log.info("API server answers again", after_seconds=seconds)

    def failed(self, why: str) -> None:
        """Record a request that got no answer, or one that the server could not process."""
        now = self._monotonic()
        if self._lost_at is None:
            if now - self._answered_at < OUTAGE_SECONDS:
                return
            self._lost_at = now
            log.warning("API server does not answer", why=why[:300])
        self._why = why

    def faults(self) -> list[str]:
        """Return the outage in words; empty without one."""
        if self._lost_at is None:
            return []
        seconds = self._monotonic() - self._lost_at
        return [f"the API server has not answered for {seconds:.0f} s: {self._why[:200]}"]
