"""The Lease: one holder, judged by our own clock, taken over when silent, taken again if lost."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from modelfleet.errors import Conflict, Gone, Transient
from modelfleet.kube.lease import Lease
from tests.doubles.virtual_time import VirtualTime


class Api:
    """One Lease object with resource versions."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.is_down = False

    async def get(self, *_: Any) -> dict[str, Any]:
        if self.is_down:
            raise Transient("down")
        if self.lease is None:
            raise Gone("none")
        return {"metadata": {"resourceVersion": self.version}, "spec": dict(self.lease)}

    async def put(self, _: str, body: dict[str, Any], **__: Any) -> dict[str, Any]:
        if self.is_down:
            raise Transient("down")
        if body["metadata"]["resourceVersion"] != self.version:
            raise Conflict("changed")
        self.lease, self.version = body["spec"], self.version + 1
        return body

    async def post(self, _: Any, __: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise Conflict("exists")
        self.lease = body["spec"]
        return body


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def candidate(api: Api, clock: Clock, identity: str) -> Lease:
    return Lease(api, namespace="n", name="l", identity=identity, seconds=10.0, monotonic=clock)


async def test_first_takes_it_and_second_waits():
    api, clock = Api(), Clock()
    first, second = candidate(api, clock, "a"), candidate(api, clock, "b")
    assert await first._try()
    assert not await second._try()
    assert first.is_held
    assert not second.is_held


async def test_silent_holder_is_replaced_after_its_duration_by_our_clock():
    api, clock = Api(), Clock()
    first, second = candidate(api, clock, "a"), candidate(api, clock, "b")
    await first._try()
    await second._try()
    clock.now += 9
    assert not await second._try()
    clock.now += 2
    assert await second._try()
    assert not first.is_held, "its own clock told it so before the other could take it"


async def test_renewing_holder_is_left_alone_for_ever():
    api, clock = Api(), Clock()
    first, second = candidate(api, clock, "a"), candidate(api, clock, "b")
    for _ in range(10):
        assert await first._try()
        assert not await second._try()
        clock.now += 4
    assert first.is_held


async def test_restarted_process_of_the_same_identity_goes_on_at_once():
    api, clock = Api(), Clock()
    await candidate(api, clock, "a")._try()
    assert await candidate(api, clock, "a")._try()


async def test_unanswered_renewal_ends_the_right_to_write():
    api, clock = Api(), Clock()
    lease = candidate(api, clock, "a")
    await lease._try()
    api.is_down = True
    clock.now += 5
    assert not await lease._try()
    assert lease.is_held
    clock.now += 4.5
    assert not lease.is_held


async def test_released_lease_is_taken_without_waiting():
    api, clock = Api(), Clock()
    first = candidate(api, clock, "a")
    await first._try()
    await first.release()
    assert not first.is_held
    assert await candidate(api, clock, "b")._try()


async def waited(lease: Lease, time: VirtualTime, seconds: float) -> bool:
    """Whether the Lease is taken within so many seconds."""
    taking = asyncio.ensure_future(lease.take())
    await time.run(seconds)
    is_taken = taking.done()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return is_taken


def contender(api: Api, time: VirtualTime, seconds: float = 8.0) -> Lease:
    return Lease(
        api,
        namespace="n",
        name="l",
        identity="a",
        seconds=seconds,
        monotonic=time,
        sleep=time.sleep,
    )


async def test_lost_lease_is_taken_again_soon_after_the_server_is_back():
    api, time = Api(), VirtualTime()
    lease = contender(api, time)
    assert await waited(lease, time, 0)
    keeping = asyncio.ensure_future(lease.keep())
    await time.run(60)
    assert not keeping.done()
    api.is_down = True
    lost_at = time.now + 8.0
    with capture_logs() as lines:
        await time.run(7.0)
        assert lease.is_held == (time.now < lease._valid_until - 0.8)
        await time.run(1.01)
        assert keeping.done()
        assert time.now <= lost_at + 0.02
        assert not lease.held.is_set()
        taking = asyncio.ensure_future(lease.take())
        await time.run(300)
        assert not taking.done()
    warnings = [line for line in lines if line["log_level"] == "warning"]
    assert len(warnings) == 1, "an outage is logged once"
    assert max(time.slept) <= 4.8
    api.is_down = False
    await time.run(5)
    assert taking.done()
    assert lease.is_held


async def test_long_lease_is_tried_every_few_seconds_too():
    api, time = Api(), VirtualTime()
    api.is_down = True
    lease = contender(api, time, seconds=120.0)
    taking = asyncio.ensure_future(lease.take())
    await time.run(60)
    assert not taking.done()
    api.is_down = False
    await time.run(5)
    assert taking.done()


async def test_write_of_somebody_else_to_the_lease_loses_nothing():
    api, time = Api(), VirtualTime()
    lease = contender(api, time)
    assert await waited(lease, time, 0)
    keeping = asyncio.ensure_future(lease.keep())
    read = api.get

    async def annotated_meanwhile(*arguments: Any) -> dict[str, Any]:
        answer = await read(*arguments)
        api.version += 1
        api.get = read
        return answer

    api.get = annotated_meanwhile
    await time.run(20)
    assert lease.is_held
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_lease_that_another_one_holds_is_lost_at_once():
    api, time = Api(), VirtualTime()
    lease = contender(api, time)
    assert await waited(lease, time, 0)
    keeping = asyncio.ensure_future(lease.keep())
    api.lease = {**api.lease, "holderIdentity": "b", "renewTime": "now"}
    await time.run(1.7)
    assert keeping.done()
    assert not lease.is_held
