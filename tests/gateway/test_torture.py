"""Everything at once, by seeded chance: two gateways, two versions, clients that never retry."""

import asyncio
import random

import pytest

from tests.gateway import scenarios
from tests.gateway.rig import Rig, until

pytestmark = pytest.mark.asyncio

STEPS = 24


class Chaos:
    """One step each; every step ends with the data plane as it was."""

    def __init__(self, rig: Rig, seed: int) -> None:
        """`seed` makes the run repeatable."""
        self.rig, self.chance = rig, random.Random(seed)
        self.weights = {1: 100, 2: 0}

    async def flip(self) -> None:
        share = self.chance.choice((0, 5, 25, 50, 100))
        self.weights = {1: 100 - share, 2: share}
        self.rig.route(self.weights)
        await self.rig.acknowledged()

    async def calm(self) -> None:
        """A request that two kills meet counts as deadly (rule 7): not here."""
        await asyncio.sleep(1.2)

    async def kill_one(self) -> None:
        await self._kill(self.chance.choice(((1, 1), (1, 2), (2, 3), (2, 4))))

    async def kill_all_of_a_version(self) -> None:
        version = self.chance.choice((1, 2))
        hosts = (1, 2) if version == 1 else (3, 4)
        servers = [self.rig.servers[f"{self.rig.network}.1.{host}"] for host in hosts]
        await asyncio.gather(*(server.kill() for server in servers))
        await asyncio.sleep(0.2)
        self.rig.endpoints(version)
        await self.rig.fed(version)
        await asyncio.gather(*(server.start() for server in servers))
        self.rig.endpoints(version, *hosts)
        await self.rig.fed(version, *hosts)
        await self.calm()

    async def _kill(self, which: tuple[int, int]) -> None:
        version, host = which
        hosts = (1, 2) if version == 1 else (3, 4)
        server = self.rig.servers[f"{self.rig.network}.1.{host}"]
        await server.kill()
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        self.rig.endpoints(version, *(other for other in hosts if other != host))
        await asyncio.sleep(0.1)
        await server.start()
        self.rig.endpoints(version, *hosts)
        await self.rig.fed(version, *hosts)
        await self.calm()

    async def to_zero(self) -> None:
        self.rig.endpoints(1)
        self.rig.endpoints(2)
        await self.rig.fed(1)
        await asyncio.sleep(0.4)
        self.rig.endpoints(1, 1, 2)
        self.rig.endpoints(2, 3, 4)
        await self.rig.fed(1, 1, 2)

    async def restart_agent(self) -> None:
        gateway = self.chance.choice(self.rig.gateways)
        await gateway.cancel_agent()
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        await gateway.start_agent(self.rig.objects)
        await gateway.ready()
        await self.rig.acknowledged()


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_fails(rig: Rig, seed: int) -> None:
    await scenarios.two_versions(rig)
    for server in rig.servers.values():
        server.delay = 0.02
    await rig.gateway()
    await rig.gateway()
    chaos = Chaos(rig, seed)
    steps = [
        chaos.flip,
        chaos.kill_one,
        chaos.kill_all_of_a_version,
        chaos.to_zero,
        chaos.restart_agent,
    ]
    log = []
    async with rig.load(8, gateway=0) as one, rig.load(8, gateway=1) as two:
        for _ in range(STEPS):
            step = chaos.chance.choice(steps)
            before = one.failed + two.failed
            await step()
            log.append((step.__name__, one.failed + two.failed - before))
    failed = one.failures + two.failures
    suspects = sum(number for text, number in failed.items() if text.startswith("502"))
    assert sum(failed.values()) == suspects, (failed, log)
    # Rule 7 cannot tell a request that kills from one that was there when two replicas were
    # killed within the same millisecond: rare, counted apart, and never anything but 502.
    assert suspects <= 2, (failed, log)
    assert one.total + two.total > 500
    await until(lambda: all(not gateway.agent.holder.held for gateway in rig.gateways))
