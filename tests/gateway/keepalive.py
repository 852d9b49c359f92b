"""A client that keeps its connections and does not look before it writes.

Used by the tests of a gateway's end. What a pooled client would mend by asking again counts as
lost here: a request that was written and got no whole answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from tests.gateway.objects import NAMESPACE
from tests.gateway.rig import CLUSTER_PORT, MODEL

REQUEST = (
    f"POST /predict HTTP/1.1\r\nHost: {MODEL}.{NAMESPACE}\r\nContent-Length: 1\r\n\r\nx"
).encode()


@dataclass
class Seen:
    """What all clients of a test saw."""

    answers: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


class Connection:
    """One connection to one gateway; `is_over` once the gateway has asked to close it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.is_over = False

    @classmethod
    async def to(cls, address: str) -> Connection:
        """A new connection."""
        return cls(*await asyncio.open_connection(address, CLUSTER_PORT))

    async def ask(self, seen: Seen, what: str) -> None:
        """One request on it."""
        try:
            async with asyncio.timeout(10):
                self._writer.write(REQUEST)
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                await self._reader.readexactly(length)
        except (OSError, EOFError, TimeoutError) as error:
            seen.lost.append(f"{what}: {error!r}")
            self.is_over = True
            return
        seen.answers[int(head.split(" ")[1])] += 1
        self.is_over = "connection: close" in head
        if self.is_over:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
