"""List and watch through outages, errors in a loop, and odd objects: never without a pause."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from modelfleet.backoff import Backoff
from modelfleet.errors import Transient
from modelfleet.kube.reachability import Reachability
from modelfleet.kube.reflector import Reflector
from modelfleet.kube.resource import PODS
from modelfleet.kube.store import Store
from modelfleet.telemetry import metrics
from tests.doubles.api_double import ApiDouble
from tests.doubles.virtual_time import VirtualTime

GONE = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}


def pod(name: str, version: int) -> dict[str, Any]:
    meta = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"metadata": meta}


def reflector_of(api: ApiDouble, time: VirtualTime, sink: Any = None) -> Reflector:
    backoff = Backoff(sleep=time.sleep)
    return Reflector(api, PODS, Store() if sink is None else sink, monotonic=time, backoff=backoff)


@asynccontextmanager
async def running(reflector: Reflector) -> AsyncIterator[None]:
    task = asyncio.ensure_future(reflector.run())
    try:
        yield
    finally:
        assert not task.done(), "a watch never ends by itself"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def failures() -> float:
    return metrics.WATCH_FAILURES.labels("Pod")._value.get()


async def test_start_waits_for_the_api_server_and_logs_it_once():
    api, time = ApiDouble(), VirtualTime()
    api.away()
    reflector = reflector_of(api, time)
    with capture_logs() as lines:
        async with running(reflector):
            await time.run(60)
            assert not reflector.synced.is_set()
            assert 12 <= api.requests["list Pod"] <= 32
            api.back()
            await time.run(5)
            assert reflector.synced.is_set()
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["watch failed"]


async def test_expired_watch_in_a_loop_lists_with_pauses():
    api, time = ApiDouble(), VirtualTime()

    async def expire(_: str) -> AsyncIterator[Any]:
        yield GONE

    api.watching = expire
    async with running(reflector_of(api, time)):
        await time.run(60)
        assert 10 <= api.requests["list Pod"] <= 32
        assert api.requests["watch Pod"] <= 32


async def test_watch_that_the_server_ends_at_once_is_not_made_again_at_once():
    api, time = ApiDouble(), VirtualTime()

    async def end(_: str) -> AsyncIterator[Any]:
        return
        yield {}

    api.watching = end
    async with running(reflector_of(api, time)):
        await time.run(60)
        assert api.requests["list Pod"] == 1, "its version is still good"
        assert 10 <= api.requests["watch Pod"] <= 32


@pytest.mark.parametrize("in_watch", [False, True])
async def test_retry_after_is_waited_for(in_watch: bool):
    api, time = ApiDouble(), VirtualTime()
    api.failure = None if in_watch else Transient("429: too many", retry_after=20.0)

    async def refuse(_: str) -> AsyncIterator[Any]:
        yield {"type": "ERROR", "object": {"code": 429, "details": {"retryAfterSeconds": 20}}}

    api.watching = refuse
    async with running(reflector_of(api, time)):
        await time.run(59)
        assert api.requests["list Pod"] == 3


async def test_watch_that_lasted_is_taken_up_again_soon():
    api, time = ApiDouble(), VirtualTime()
    api.away()
    async with running(reflector_of(api, time)):
        await time.run(60)
        api.back()
        await time.run(60)
        api.away()
        await time.run(0.01)
        assert time.slept[-1] <= 0.2
        api.back()
        await time.run(0.2)
        assert api.requests["watch Pod"] == 2


class Breaking(Store):
    """Cannot take one object, once."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = False

    def put(self, item: Any) -> None:
        if item["metadata"]["name"] == "odd" and not self.is_broken:
            self.is_broken = True
            raise RuntimeError("odd object")
        super().put(item)


async def test_watch_task_that_raises_is_logged_counted_and_goes_on():
    api, time, store = ApiDouble(), VirtualTime(), Breaking()

    async def deliver(_: str) -> AsyncIterator[Any]:
        if not store.is_broken:
            yield {"type": "ADDED", "object": pod("odd", 101)}
        await asyncio.Event().wait()

    api.watching = deliver
    before = failures()
    with capture_logs() as lines:
        async with running(reflector_of(api, time, store)):
            await time.run(1)
            assert api.requests["list Pod"] == 2, "what was missed is listed again"
    assert failures() == before + 1
    assert [line["event"] for line in lines] == ["watch broke"]


async def test_only_a_watch_without_progress_is_stuck():
    api, time = ApiDouble(), VirtualTime()
    reflector = reflector_of(api, time)
    api.away()
    async with running(reflector):
        await time.run(3600)
        assert reflector.silent_seconds > 3600
        assert reflector.stuck_seconds <= 5.0
        api.back()
        await time.run(300)
        assert reflector.stuck_seconds >= 290, "nothing came, not even a time-out"


async def test_refresh_fills_the_store_beside_the_watch():
    api, time, store = ApiDouble(), VirtualTime(), Store()
    async with running(reflector := reflector_of(api, time, store)):
        await time.run(1)
        api.items["Pod"] = [pod("new", 100)]
        await reflector.refresh()
        assert store.get("ns", "new") is not None
        assert api.requests["watch Pod"] == 1
        api.away()
        with pytest.raises(Transient):
            await reflector.refresh()


def test_outage_is_logged_once_and_has_words():
    time = VirtualTime()
    reachability = Reachability(time)
    with capture_logs() as lines:
        for _ in range(50):
            reachability.failed("connection refused")
            time.now += 1
        assert reachability.faults() == [
            "the API server has not answered for 50 s: connection refused"
        ]
        reachability.answered()
        reachability.failed("one time-out is no outage")
    assert reachability.faults() == []
    assert [line["event"] for line in lines] == [
        "API server does not answer",
        "API server answers again",
    ]
