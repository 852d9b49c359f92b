"""Terms: the Lease is taken, the leader's loops run, the Lease is lost, and this process stands by.

`compose` makes one. A standby keeps its stores and watches, and takes the Lease again when it can.
A term begins as a new leader does: with lists that are as new as the Lease, and with nothing of the
term before except what was learned. Must never let a loop outlive the Lease.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

FRESH_SECONDS = 10.0
"""Lists that are older when the Lease is taken are made again: another leader may have written."""

log = structlog.get_logger()


class TermLease(Protocol):
    """The Lease as terms need it."""

    async def take(self) -> None:
        """Wait until the Lease is ours."""
        ...

    async def keep(self) -> None:
        """Renew the Lease; return when it is lost."""
        ...


class Terms:
    """Leads for as long as the Lease is held, again and again."""

    def __init__(
        self,
        lease: TermLease,
        *,
        fill: Callable[[], Awaitable[None]],
        refresh: Callable[[], Awaitable[None]],
        begin: Callable[[], None],
        lead: Callable[[], Awaitable[None]],
        end: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fill` waits for the first lists, `refresh` for new ones, through any outage.

        `begin` and `end` surround `lead`, which runs until it is cancelled.
        """
        self.is_leading = False
        self._lease = lease
        self._fill, self._refresh = fill, refresh
        self._begin, self._lead, self._end = begin, lead, end
        self._monotonic = monotonic
        self._filled_at = float("-inf")

    async def run(self) -> None:
        """Fill the stores, then lead and stand by until cancelled."""
        await self._fill()
        self._filled_at = self._monotonic()
        while True:
            await self._lease.take()
            await self._term()
            log.warning("standing by")

    async def _term(self) -> None:
        """Lead until the Lease is lost. Raises what ended the loops by itself."""
        keeper = asyncio.ensure_future(self._lease.keep())
        work = asyncio.ensure_future(self._work())
        try:
            await asyncio.wait([keeper, work], return_when=asyncio.FIRST_COMPLETED)
            has_failed = work.done()
        finally:
            # Also after a signal: the memory is saved while the Lease is still held.
            work.cancel()
            await asyncio.wait([work])
            keeper.cancel()
            await asyncio.wait([keeper])
        if has_failed:
            work.result()
            raise RuntimeError("the loops of the leader ended by themselves")
        keeper.result()

    async def _work(self) -> None:
        if self._monotonic() - self._filled_at > FRESH_SECONDS:
            await self._refresh()
        self._begin()
        self.is_leading = True
        try:
            await self._lead()
        finally:
            self.is_leading = False
            self._filled_at = float("-inf")
            self._end()
