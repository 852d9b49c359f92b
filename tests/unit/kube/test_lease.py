"""The Lease: one holder, judged by our own clock, taken over when silent."""

from typing import Any

from modelfleet.errors import Conflict, Gone, Transient
from modelfleet.kube.lease import Lease


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
