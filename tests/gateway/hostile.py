"""What hostile tenants do to a gateway: run by the test of tenants, in a process of its own.

Argument: JSON with `tenants` (fields of `Hostile`), `workers` and `seconds`. Prints by tenant how
many attacks ended, and what it read that was not its own model's.
"""

import asyncio
import contextlib
import itertools
import json
import sys
from dataclasses import dataclass, field

from tests.gateway.rig import CLUSTER_PORT

READ_BYTES = 1 << 16
HELD_BYTES = 1 << 20
SLOW_SECONDS = 0.2


@dataclass
class Hostile:
    """One tenant: its model's host, the marks of all others, a sleeping model, and the victim."""

    gateway: str
    host: str
    others: list[str]
    asleep: str
    victim: str
    foreign: list[str] = field(default_factory=list)
    done: int = 0

    async def _raw(self, head: str, body: bytes = b"", *, reads: int = 1) -> bytes:
        """Write to a new connection and read a little of the answer, slowly."""
        reader, writer = await asyncio.open_connection(self.gateway, CLUSTER_PORT)
        try:
            writer.write(head.replace("\n", "\r\n").encode() + body)
            await writer.drain()
            seen = b""
            async with asyncio.timeout(15):
                for _ in range(reads):
                    seen += (part := await reader.read(READ_BYTES))
                    if not part:
                        break
                    await asyncio.sleep(SLOW_SECONDS)
            return seen
        finally:
            writer.close()
            self.done += 1

    async def hold_bodies(self) -> None:
        """Large bodies for a model that has no replica."""
        head = f"POST / HTTP/1.1\nHost: {self.asleep}\nContent-Length: {HELD_BYTES}\n\n"
        await self._raw(head, b"h" * HELD_BYTES)

    async def never_end(self) -> None:
        """The beginning of a body, and nothing more."""
        await self._raw(f"POST / HTTP/1.1\nHost: {self.host}\nContent-Length: 4000000\n\nx")

    async def read_slowly(self) -> None:
        """Huge answers, of which little is read."""
        head = f"POST / HTTP/1.1\nHost: {self.host}\nx-huge: 64\nContent-Length: 0\n\n"
        self.judge(await self._raw(head, reads=20))

    async def pretend(self) -> None:
        """Own host, with headers that only a gateway may set, and a request id of others."""
        forged = (
            "x-modelfleet-model: team-a/victim\nx-modelfleet-version: victim-v1\n"
            "x-modelfleet-stream: 1\nx-modelfleet-retry: 1\nx-envoy-retry-on: 5xx\n"
            f"x-forwarded-host: {self.victim}\nx-request-id: same-for-all\n"
            "x-envoy-upstream-rq-timeout-ms: 1\nx-envoy-max-retries: 100\n"
        )
        head = f"POST / HTTP/1.1\nHost: {self.host}\n{forged}Content-Length: 0\n\n"
        self.judge(await self._raw(head))

    async def smuggle(self) -> None:
        """Two lengths, and a second request in the body that asks for the victim."""
        inner = f"POST / HTTP/1.1\r\nHost: {self.victim}\r\nContent-Length: 0\r\n\r\n".encode()
        for lengths in (
            f"Content-Length: 5\nTransfer-Encoding: chunked\nHost: {self.host}",
            f"Transfer-Encoding: chunked\nTransfer-Encoding: identity\nHost: {self.host}",
            f"Content-Length: 0\nHost: {self.host}\nHost: {self.victim}",
            f"Content-Length: {len(inner) + 5}\nHost: {self.host}",
        ):
            self.judge(await self._raw(f"POST / HTTP/1.1\n{lengths}\n\n", b"0\r\n\r\n" + inner))

    async def ask_for_nobody(self) -> None:
        """Hosts that nobody has."""
        for host in ("nobody.team-a", "x" * 200, f"{self.victim}.evil.example", "[::1]", ""):
            self.judge(await self._raw(f"GET / HTTP/1.1\nHost: {host}\n\n"))

    def judge(self, seen: bytes) -> None:
        """Note an answer that names another model than the own one."""
        if any(other.encode() in seen for other in self.others):
            self.foreign.append(seen[:300].decode(errors="replace"))

    async def attack(self, workers: int) -> None:
        """All of it, by many workers, until cancelled."""
        ways = (
            self.hold_bodies,
            self.read_slowly,
            self.never_end,
            self.pretend,
            self.smuggle,
            self.ask_for_nobody,
        )

        async def work(first: int) -> None:
            for way in itertools.islice(itertools.cycle(ways), first, None):
                with contextlib.suppress(OSError, TimeoutError):
                    await way()

        await asyncio.gather(*(work(number % len(ways)) for number in range(workers)))


async def main() -> None:
    """All tenants at once."""
    asked = json.loads(sys.argv[1])
    tenants = [Hostile(**fields) for fields in asked["tenants"]]
    attacks = [asyncio.create_task(one.attack(asked["workers"])) for one in tenants]
    await asyncio.wait(attacks, timeout=asked["seconds"])
    for attack in attacks:
        attack.cancel()
    await asyncio.gather(*attacks, return_exceptions=True)
    print(json.dumps([[one.done, one.foreign] for one in tenants]))


if __name__ == "__main__":
    asyncio.run(main())
