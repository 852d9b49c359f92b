"""What happens to a model under load, written once: the tests demand 0 failures, the negative
controls switch one rule off and demand to see failures.
"""

import asyncio
import random

from tests.gateway.rig import Load, Rig, until

SWAPS = 12


async def two_versions(rig: Rig, **more: object) -> None:
    """Versions 1 and 2 with two replicas each; all traffic to version 1."""
    for host, version in ((1, 1), (2, 1), (3, 2), (4, 2)):
        await rig.replica(host, version=version)
    for version, hosts in ((1, (1, 2)), (2, (3, 4))):
        rig.version(version)
        rig.endpoints(version, *hosts)
    rig.route({1: 100, 2: 0}, **more)


async def flip_weights(rig: Rig, flips: int = 40) -> Load:
    """Random weights, each acknowledged before the next."""
    await two_versions(rig)
    await rig.gateway()
    chance = random.Random(7)
    async with rig.load() as seen:
        for _ in range(flips):
            share = chance.choice((0, 1, 10, 50, 90, 100))
            rig.route({1: 100 - share, 2: share})
            await rig.acknowledged()
            await asyncio.sleep(0.02)
    return seen


async def swap_versions(rig: Rig, swaps: int = SWAPS) -> Load:
    """New version at once to 100, the old one leaves the route: a new cluster each time.

    Nothing lingers, so that only the order of the pushes protects the requests.
    """
    await rig.served(1, 2)
    await rig.gateway()
    async with rig.load() as seen:
        for number in range(2, 2 + swaps):
            rig.version(number)
            rig.endpoints(number, 1, 2)
            rig.route({number: 100})
            for gateway in rig.gateways:
                record = gateway.agent.watched.records["team-a", "churn"]
                record.lingering = dict.fromkeys(record.lingering, 0.0)
                gateway.agent.watched.expire()
            await rig.acknowledged()
            await asyncio.sleep(0.05)
    return seen


async def replace_without_replay(rig: Rig, *, is_gated: bool) -> Load:
    """A model that must not be replayed moves to new replicas; the old ones are then killed.

    The leader's gate: acknowledged, then nothing in flight, then the kill.
    """
    for host in (1, 2):
        await rig.replica(host, delay=0.03)
    rig.version(1)
    rig.endpoints(1, 1)
    rig.route({1: 100}, idempotent=False)
    gateway = await rig.gateway()
    traffic = gateway.agent.traffic
    async with rig.load() as seen:
        here, there = 1, 2
        for _ in range(8):
            await asyncio.sleep(0.15)
            old = rig.servers[f"{rig.network}.1.{here}"]
            rig.endpoints(1, there)
            if is_gated:
                await rig.fed(1, there)
                await asyncio.sleep(0.2)  # Envoy's log is late by up to 100 ms
                flight = traffic.counter("team-a/churn", "churn-v1").in_flight
                await until(lambda old=old, flight=flight: f"{old.address}:8000" not in flight)
            await old.kill()
            await old.start()
            here, there = there, here
    return seen


async def last_replica_dies(rig: Rig) -> Load:
    """The only replica is killed, its endpoint goes later, and it comes back later still."""
    await rig.served(1, delay=0.01)
    await rig.gateway()
    async with rig.load() as seen:
        for _ in range(2):
            await asyncio.sleep(0.3)
            only = rig.servers[f"{rig.network}.1.1"]
            await only.kill()
            await asyncio.sleep(0.3)
            rig.endpoints(1)
            await asyncio.sleep(0.7)
            await only.start()
            rig.endpoints(1, 1)
            await rig.fed(1, 1)
        await asyncio.sleep(0.5)
    return seen


async def one_replica_cuts_off(
    rig: Rig, requests: int = 60, *, ends_with_a_loss: bool = False
) -> Load:
    """Of two replicas one resets every request; one client after the other."""
    await rig.replica(1, mode="reset")
    await rig.replica(2)
    rig.version(1)
    rig.endpoints(1, 1, 2)
    rig.route({1: 100})
    await rig.gateway()
    seen = Load()
    for _ in range(requests):
        answer = await rig.ask()
        if answer.code == 200:
            seen.answers[answer.body["version"]] += 1
        else:
            seen.failures[f"{answer.code} {answer.body}"] += 1
            if ends_with_a_loss:
                break
    return seen


async def one_of_two_dies(rig: Rig, clients: int) -> Load:
    """Of two slow replicas one is killed with requests in it; its endpoint goes later."""
    async with rig.load(clients) as seen:
        await asyncio.sleep(0.5)
        await rig.servers[f"{rig.network}.1.1"].kill()
        await asyncio.sleep(0.5)
        rig.endpoints(1, 2)
        await rig.fed(1, 2)
    return seen


async def emptied_between_attempts(rig: Rig, rounds: int = 4) -> Load:
    """Replicas refuse requests; while the holder has these, the replicas leave, then its agent."""
    await rig.served(1, 2)
    first, second = await rig.gateway(), await rig.gateway()
    servers = list(rig.servers.values())
    clients = 20
    async with rig.load(clients) as seen:
        for _ in range(rounds):
            await asyncio.sleep(0.2)
            await asyncio.gather(*(server.kill() for server in servers))
            await until(lambda: sum(first.agent.holder.held.values()) == clients)
            rig.endpoints(1)
            await rig.fed(1)
            await first.cancel_agent()
            await until(lambda: sum(second.agent.holder.held.values()) == clients)
            await asyncio.gather(*(server.start() for server in servers))
            rig.endpoints(1, 1, 2)
            await first.start_agent(rig.objects)
            await until(lambda: not first.agent.holder.held and not second.agent.holder.held)
    return seen
