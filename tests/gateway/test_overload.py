"""More requests than the replicas can answer: refused at once, and who is accepted is served.

The replicas need time, not the machine: 2 of them with 2 slots of 50 ms answer 80 requests/s. A
slower machine gets slower replicas and less traffic. Its replicas count as used while their slots
are taken, however late the machine lets them answer.
"""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import pytest

from modelfleet.gateway.bounds.fairness import Shares
from modelfleet.gateway.bounds.limits import RequestLimits
from tests import speed
from tests.gateway.rig import Rig

pytestmark = pytest.mark.asyncio

DELAY_SECONDS = speed.patience(0.05)
SLOTS = 4
CAPACITY = SLOTS / DELAY_SECONDS
WAIT_SECONDS = 2
BEFORE, DURING, AFTER = 3, 11, 8
KNOWN = 5
"""After so many seconds of overload the throughput of the replicas is known."""


@dataclass
class Seen:
    """One request: when it was sent, by whom, and how it ended."""

    at: float
    client: str
    code: int
    seconds: float
    error: str
    retry_after: str


class Crowd:
    """Open-loop clients that never retry."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._began = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self.seen: list[Seen] = []

    async def send(self, rate: float, seconds: float, client: str = "") -> None:
        """So many requests a second, from the client's own address where one is given."""
        began, sent = time.monotonic(), 0
        session = None
        if client:
            connector = aiohttp.TCPConnector(local_addr=(client, 0), limit=0)
            session = self._sessions[client] = aiohttp.ClientSession(connector=connector)
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * rate:
                self._tasks.append(asyncio.create_task(self._one(client, sent, session)))
                sent += 1
            await asyncio.sleep(0.005)

    async def _one(self, client: str, number: int, session: aiohttp.ClientSession | None) -> None:
        at = time.monotonic() - self._began
        gateway = number % len(self._rig.gateways)
        answer = await self._rig.ask(gateway=gateway, session=session)
        self.seen.append(
            Seen(
                at,
                client,
                answer.code,
                answer.seconds,
                str(answer.body.get("error", "")),
                answer.headers.get("Retry-After", ""),
            )
        )

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)
        for session in self._sessions.values():
            await session.close()

    def used_share(self, begin: float, end: float) -> float:
        """Share of the slots of all replicas that were taken, on average."""
        taken = sum(
            max(0.0, min(until, self._began + end) - max(since, self._began + begin))
            for server in self._rig.servers.values()
            for since, until in server.worked
        )
        return taken / (SLOTS * (end - begin))

    def between(self, begin: float, end: float, code: int) -> list[Seen]:
        return [one for one in self.seen if begin <= one.at < end and one.code == code]


async def overloaded(rig: Rig, factor: float, gateways: int = 1) -> Crowd:
    """Half of what the replicas can do, then `factor` times as much, then half of it again."""
    for host in (1, 2):
        await rig.replica(host, delay=DELAY_SECONDS, slots=SLOTS // 2)
    rig.version(1)
    rig.endpoints(1, 1, 2)
    rig.route({1: 100}, burst_wait_seconds=WAIT_SECONDS, overload_wait_seconds=WAIT_SECONDS)
    for _ in range(gateways):
        await rig.gateway()
    await rig.acknowledged()
    crowd = Crowd(rig)
    await crowd.send(CAPACITY / 2, BEFORE)
    await crowd.send(CAPACITY * factor, DURING)
    await crowd.send(CAPACITY / 2, AFTER)
    await crowd.end()
    return crowd


@pytest.mark.parametrize("gateways", [1, 2])
async def test_overload_is_refused_at_once_and_the_replicas_work_on(
    rig: Rig, gateways: int
) -> None:
    crowd = await overloaded(rig, 3, gateways)
    assert not crowd.between(0, BEFORE, 503), "below the capacity nobody is refused"
    begin, end = BEFORE + KNOWN, BEFORE + DURING
    answered, refused = crowd.between(begin, end, 200), crowd.between(begin, end, 503)
    goodput, used = len(answered) / (end - begin), crowd.used_share(begin, end)
    print(f"{goodput:.0f} of {CAPACITY:.0f}/s answered, {len(refused)} refused; {used:.0%} used")
    assert used >= 0.85
    assert {one.code for one in crowd.seen} == {200, 503}
    waits = sorted(one.seconds for one in answered)
    assert waits[len(waits) // 2] <= WAIT_SECONDS
    assert waits[-1] <= 1.5 * WAIT_SECONDS
    assert sorted(one.seconds for one in refused)[len(refused) // 2] < WAIT_SECONDS / 4
    assert {one.retry_after for one in refused} == {"5"}
    assert "overloaded" in refused[0].error
    # Half of the capacity is left over to work the queue off: twice the wait, and a second or two.
    quiet = [one for one in crowd.seen if one.at >= end + 2 * WAIT_SECONDS + 2]
    assert quiet
    assert {one.code for one in quiet} == {200}
    assert sorted(one.seconds for one in quiet)[len(quiet) // 2] < WAIT_SECONDS / 2
    # Refusals are arrivals, too, and counted apart.
    await asyncio.sleep(1.3)
    traffics = [gateway.agent.traffic for gateway in rig.gateways]
    totals = [one.counter("team-a/churn", "churn-v1").totals for one in traffics]
    assert sum(one.refused for one in totals) == sum(one.code == 503 for one in crowd.seen)
    assert sum(one.arrivals for one in totals) == len(crowd.seen)


async def test_without_the_bound_everybody_waits(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(RequestLimits, "after", lambda *_: {})
    crowd = await overloaded(rig, 3)
    assert not [one for one in crowd.seen if one.code == 503]
    assert max(one.seconds for one in crowd.seen) > 4 * WAIT_SECONDS


async def test_requests_that_were_held_are_accepted_whatever_the_bound_is(rig: Rig) -> None:
    """A model wakes with more held requests than its bound allows: they were accepted before."""
    await rig.replica(1, delay=0.02, slots=2)
    rig.version(1)
    rig.endpoints(1)
    rig.route({1: 100}, hold_max_requests=300, concurrency=2, burst_wait_seconds=1)
    await rig.gateway()
    await rig.acknowledged()
    asked = [asyncio.create_task(rig.ask()) for _ in range(250)]
    await asyncio.sleep(1.5)
    rig.endpoints(1, 1)
    answers = await asyncio.gather(*asked)
    assert {answer.code for answer in answers} == {200}


async def test_a_killed_replica_loses_none_of_what_was_accepted(rig: Rig) -> None:
    for host in (1, 2):
        await rig.replica(host, delay=0.05, slots=2)
    rig.version(1)
    rig.endpoints(1, 1, 2)
    rig.route({1: 100})
    await rig.gateway()
    await rig.acknowledged()
    crowd = Crowd(rig)
    await crowd.send(60, 4)
    await rig.servers[f"{rig.network}.1.1"].kill()
    rig.endpoints(1, 2)
    await crowd.send(30, 3)
    await crowd.end()
    assert {one.code for one in crowd.seen} == {200}


@pytest.mark.parametrize("is_shared", [True, False])
async def test_a_client_that_asks_for_little_gets_all_of_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, *, is_shared: bool
) -> None:
    """With the negative control: without shares the heavy client takes nearly everything."""
    if not is_shared:
        monkeypatch.setattr(Shares, "after", lambda *_: [])
    for host in (1, 2):
        await rig.replica(host, delay=DELAY_SECONDS, slots=SLOTS // 2)
    rig.version(1)
    rig.endpoints(1, 1, 2)
    rig.route({1: 100}, burst_wait_seconds=WAIT_SECONDS, overload_wait_seconds=WAIT_SECONDS)
    await rig.gateway()
    await rig.acknowledged()
    crowd = Crowd(rig)
    light, heavy = f"{rig.network}.7.1", f"{rig.network}.7.2"
    await crowd.send(CAPACITY / 2, 2)
    await asyncio.gather(crowd.send(10, 14, light), crowd.send(3 * CAPACITY, 14, heavy))
    await crowd.end()
    late = [one for one in crowd.seen if one.at >= 2 + 8]
    of_light = [one.code == 200 for one in late if one.client == light]
    of_heavy = [one.code == 200 for one in late if one.client == heavy]
    share = sum(of_light) / len(of_light)
    print(f"light {share:.0%} of 10/s, heavy {sum(of_heavy) / len(of_heavy):.0%} of 240/s")
    assert (share > 0.9) is is_shared
    assert sum(of_heavy) / 6 > 0.7 * (CAPACITY - 10)
