import asyncio
from dataclasses import dataclass, field

import pytest

from modelfleet.gateway.requests.failed_attempts import Failures
from modelfleet.gateway.requests.repeats import Repeat, Repeats, accepts_connections

KEY, VERSION = "team-a/churn", "churn-v1"


@dataclass
class World:
    ready: tuple[str, ...]
    pods: tuple[str, ...]
    living: tuple[str, ...]
    starting: bool = False
    looks: list[str] = field(default_factory=list)

    def behind(self, key: str, version: str) -> tuple[str, ...]:
        return self.ready

    def has_pod(self, key: str, endpoint: str) -> bool:
        return endpoint in self.pods

    def is_starting(self, key: str, version: str) -> bool:
        return self.starting

    async def accepts(self, endpoint: str) -> bool:
        self.looks.append(endpoint)
        return endpoint in self.living


@pytest.mark.parametrize(
    ("ready", "pods", "living", "starting", "wanted"),
    [
        ("b", "b", "b", False, Repeat.CLEARED),
        ("ab", "ab", "b", False, Repeat.LATER),
        ("ab", "ab", "ab", False, Repeat.NOW),
        ("abc", "abc", "bc", False, Repeat.NOW),
        ("b", "ab", "b", False, Repeat.LATER),
        ("a", "a", "", False, Repeat.LATER),
        ("a", "a", "a", False, Repeat.NEVER),
        ("a", "ab", "a", True, Repeat.LATER),
        ("", "a", "", False, Repeat.LATER),
    ],
)
async def test_where_a_request_that_broke_off_replica_a_may_go(
    ready: str, pods: str, living: str, starting: bool, wanted: Repeat
) -> None:
    world = World(tuple(ready), tuple(pods), tuple(living), starting)
    repeats = Repeats(world, world.accepts, lambda: 0.0)
    assert await repeats.judge(KEY, VERSION, Failures(1, ("a",))) is wanted


async def test_many_requests_look_once() -> None:
    now, world = [0.0], World(("a", "b"), ("a", "b"), ("b",))
    repeats = Repeats(world, world.accepts, lambda: now[0])
    judged = (repeats.judge(KEY, VERSION, Failures(1, ("a",))) for _ in range(100))
    assert set(await asyncio.gather(*judged)) == {Repeat.LATER}
    assert sorted(world.looks) == ["a", "b"]
    now[0] = 0.3
    await repeats.judge(KEY, VERSION, Failures(1, ("a",)))
    assert len(world.looks) == 4


async def test_a_closed_port_accepts_nothing() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert await accepts_connections(endpoint)
    server.close()
    assert not await accepts_connections(endpoint)
