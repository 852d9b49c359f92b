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
    ("ready", "pods", "living", "starting", "died", "wanted"),
    [
        ("b", "b", "b", False, False, Repeat.CLEARED),
        ("ab", "ab", "b", False, False, Repeat.LATER),
        ("ab", "ab", "ab", False, False, Repeat.NOW),
        ("ab", "ab", "ab", False, True, Repeat.NOW),
        ("abc", "abc", "bc", False, False, Repeat.NOW),
        ("b", "ab", "b", False, False, Repeat.LATER),
        ("a", "a", "", False, False, Repeat.LATER),
        ("a", "a", "a", False, False, Repeat.NOW),  # it only closed an idle connection
        ("a", "a", "a", False, True, Repeat.NEVER),
        ("a", "ab", "a", True, True, Repeat.LATER),
        ("", "a", "", False, False, Repeat.LATER),
    ],
)
async def test_where_a_request_that_broke_off_replica_a_may_go(
    ready: str, pods: str, living: str, starting: bool, died: bool, wanted: Repeat
) -> None:
    now, world = [10.0], World(tuple(ready), tuple(pods), tuple(living), starting)
    repeats = Repeats(world, world.accepts, lambda: now[0])
    broken = Failures(1, ("a",), at=now[0])
    if died:
        world.living = ()
        await repeats.judge(KEY, VERSION, broken)
        world.living, now[0] = tuple(living), 15.0
    now[0] += 0.3
    assert await repeats.judge(KEY, VERSION, broken) is wanted


async def test_an_earlier_end_of_a_replica_is_not_that_of_a_later_break() -> None:
    now, world = [10.0], World(("a",), ("a",), ())
    repeats = Repeats(world, world.accepts, lambda: now[0])
    assert await repeats.judge(KEY, VERSION, Failures(1, ("a",), at=10.0)) is Repeat.LATER
    world.living, now[0] = ("a",), 60.0
    assert await repeats.judge(KEY, VERSION, Failures(1, ("a",), at=10.0)) is Repeat.NEVER
    later = Failures(1, ("a",), at=60.0)
    assert await repeats.judge(KEY, VERSION, later) is Repeat.LATER, "not at once"
    now[0] = 60.3
    assert await repeats.judge(KEY, VERSION, later) is Repeat.NOW


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
