"""Two hostile tenants against a third one, on the same two gateways."""

import asyncio
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

import aiohttp

from modelfleet.gateway.bounds.listener_bounds import ListenerBounds
from tests.gateway.rig import CLUSTER_PORT, EXTERNAL_PORT, Rig, until

VICTIM = "victim.team-a"
CLIENTS, QUIET_SECONDS, ATTACK_SECONDS, WORKERS = 6, 4.0, 12.0, 30


@dataclass
class Tenant:
    """A tenant whose clients check every byte of what they get."""

    rig: Rig
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def client(self, number: int) -> None:
        for count in itertools.count():
            own = f"{number}-{count}"
            body = own.encode() * 50
            headers = {"x-echo": "1", "x-own-id": own, "x-request-id": "same-for-all"}
            begin = time.monotonic()
            answer = await self.rig.ask(VICTIM, gateway=number % 2, data=body, headers=headers)
            self.seconds.append(time.monotonic() - begin)
            echo = {k.lower(): v for k, v in answer.body.get("headers", {}).items()}
            seen = (
                answer.code,
                answer.body.get("version"),
                echo.get("x-own-id"),
                answer.body.get("sha256"),
            )
            if seen != (200, "churn-v1", own, hashlib.sha256(body).hexdigest()):
                self.wrong.append(f"{own}: {answer.code} {answer.body}")
            await asyncio.sleep(0.01)

    async def p99(self, seconds: float) -> float:
        """Measure for so long."""
        self.seconds.clear()
        clients = [asyncio.create_task(self.client(number)) for number in range(CLIENTS)]
        _, running = await asyncio.wait(clients, timeout=seconds)
        for one in running:
            one.cancel()
        ended = await asyncio.gather(*clients, return_exceptions=True)
        self.wrong += [repr(e) for e in ended if not isinstance(e, asyncio.CancelledError)]
        return sorted(self.seconds)[int(0.99 * (len(self.seconds) - 1))]


async def test_two_hostile_tenants_harm_no_third(rig: Rig) -> None:
    for host, model in enumerate(("victim", "first", "second"), start=1):
        await rig.replica(host, version=host)
        rig.version(1, model=model)
        rig.endpoints(1, host, model=model)
        rig.route({1: 100}, model=model)
        rig.version(1, model=f"{model}-asleep")
        rig.route({1: 100}, model=f"{model}-asleep", hold_max_seconds=5)
    for _ in range(2):
        await rig.gateway(hold_max_bytes=16 << 20)
    for model in rig.routes:
        await rig.acknowledged(model)
    tenant = Tenant(rig)
    quiet = await tenant.p99(QUIET_SECONDS)
    attack = asyncio.create_task(attacks(rig))
    attacked = await tenant.p99(ATTACK_SECONDS)
    seen = await attack
    print(
        f"p99 quiet {quiet * 1000:.1f} ms, under attack {attacked * 1000:.1f} ms: "
        f"{attacked / quiet:.1f} times, {sum(done for done, _ in seen)} attacks"
    )
    assert tenant.wrong == []
    assert [foreign for _, foreign in seen] == [[]] * len(seen)
    assert all(done > WORKERS for done, _ in seen)


async def attacks(rig: Rig) -> list[tuple[int, list[str]]]:
    """Both tenants at both gateways, in a process of their own: attacks and foreign answers."""
    marks = {"first": "churn-v2", "second": "churn-v3"}
    tenants = [
        {
            "gateway": gateway.address,
            "host": f"{model}.team-a",
            "others": ["churn-v1", *(other for other in marks.values() if other != mark)],
            "asleep": f"{model}-asleep.team-a",
            "victim": VICTIM,
        }
        for gateway in rig.gateways
        for model, mark in marks.items()
    ]
    asked = {"tenants": tenants, "workers": WORKERS, "seconds": ATTACK_SECONDS}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.gateway.hostile", json.dumps(asked)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    text, _ = await process.communicate()
    seen: list[tuple[int, list[str]]] = json.loads(text)
    return seen


async def code_when_there_is_room(rig: Rig) -> int:
    """Ask the full port for a host that no model has, until Envoy has seen the ends of others."""
    async with asyncio.timeout(10):
        while True:
            try:
                return (await rig.ask("nobody.team-a", port=EXTERNAL_PORT)).code
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


async def test_connections_to_one_port_leave_the_other_open(rig: Rig) -> None:
    """With the bound at 20; what is above it is closed at once, and room comes back."""
    await rig.served(1)
    gateway = await rig.gateway(bounds=ListenerBounds(connections=20))
    held = [await asyncio.open_connection(gateway.address, EXTERNAL_PORT) for _ in range(40)]
    closed = 0
    for reader, _ in held:
        try:
            async with asyncio.timeout(0.2):
                closed += await reader.read(1) == b""
        except TimeoutError:
            continue
    assert closed == 20
    assert (await rig.ask()).code == 200
    for _, writer in held:
        writer.close()
    assert await code_when_there_is_room(rig) == 404


async def test_requests_of_one_model_are_bounded(rig: Rig) -> None:
    """A model's replica answers slowly: more than so many requests are refused with words."""
    await rig.served(1, delay=1.5)
    most = 3
    gateway = await rig.gateway(model_requests=most)
    await rig.fed(1, 1)
    assert (await rig.ask()).code == 200  # a sample of this version sets its bound
    await until(lambda: any(rate.sent == most for rate in gateway.agent.limits._rates.values()))
    await asyncio.sleep(0.2)
    answers = await asyncio.gather(*(rig.ask() for _ in range(12)))
    refused = [answer for answer in answers if answer.code == 503]
    assert len(refused) >= 12 - most - 2  # Envoy's two threads count by themselves
    assert all("too many requests" in answer.body["error"] for answer in refused)
    assert refused[0].headers["retry-after"]


async def test_an_answer_that_nobody_reads_ends(rig: Rig) -> None:
    await rig.served(1, request_timeout_seconds=1, hold_max_seconds=1)
    gateway = await rig.gateway()
    await rig.fed(1, 1)
    reader, writer = await asyncio.open_connection(gateway.address, CLUSTER_PORT, limit=1)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: churn.team-a\r\nx-huge: 64\r\nContent-Length: 0\r\n\r\n"
    )
    flight = gateway.agent.traffic.counter("team-a/churn", "churn-v1").in_flight
    await until(lambda: flight)
    await until(lambda: not flight, 15)
    writer.close()
    assert not reader.at_eof(), "it was not read to its end"
