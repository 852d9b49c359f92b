"""Kopf's watch survives what ends Kopf, waits without end for answers, and asks with pauses."""

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import kopf
import pytest

from modelfleet.backoff import Backoff
from modelfleet.errors import Transient
from modelfleet.frontdoor import kopf_watch
from modelfleet.frontdoor.kopf_watch import Pauses, WatchPace, registry_of, settings_of
from tests.doubles.virtual_time import VirtualTime


class Kopf:
    """Stands for Kopf's reactor: ends at once with each error, then runs on."""

    def __init__(self, monkeypatch: Any, errors: list[Exception]) -> None:
        self.errors, self.starts, self.ignored = errors, 0, None
        monkeypatch.setattr(kopf, "spawn_tasks", self.spawn)
        monkeypatch.setattr(kopf, "run_tasks", self.run)

    async def spawn(self, **given: Any) -> list[Any]:
        self.starts += 1
        given["ready_flag"].set()
        return []

    async def run(self, _: Any, *, ignored: Any) -> None:
        self.ignored = ignored
        if self.errors:
            raise self.errors.pop(0)
        await asyncio.Event().wait()


async def runs(time: VirtualTime, seconds: float, is_served: Any, on_start: Any) -> None:
    task = asyncio.ensure_future(
        kopf_watch.run(
            kopf.OperatorRegistry(),
            [],
            ready=asyncio.Event(),
            stop=asyncio.Event(),
            is_served=is_served,
            on_start=on_start,
            backoff=Backoff(sleep=time.sleep),
            monotonic=time,
        )
    )
    await time.run(seconds)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def yes() -> bool:
    return True


async def test_end_of_kopf_is_no_end_of_the_process(monkeypatch):
    time, signals = VirtualTime(), []
    double = Kopf(monkeypatch, [RuntimeError("Error in the watch-stream")] * 4)
    await runs(time, 30, yes, lambda: signals.append(time.now))
    assert double.starts == 5
    assert len(signals) == 5, "Kopf takes the handlers of signals at each start"


async def test_end_of_kopf_in_a_loop_is_paced(monkeypatch):
    time = VirtualTime()
    double = Kopf(monkeypatch, [RuntimeError("Error in the watch-stream")] * 1000)
    await runs(time, 60, yes, lambda: None)
    assert 10 <= double.starts <= 32


async def test_kopf_starts_when_the_api_server_serves_models(monkeypatch):
    time, double = VirtualTime(), Kopf(monkeypatch, [])
    answers = itertools.chain([Transient("refused")] * 5, [False] * 5, itertools.repeat(True))

    async def is_served() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await runs(time, 2, is_served, lambda: None)
    assert double.starts == 0
    await runs(time, 60, is_served, lambda: None)
    assert double.starts == 1


async def test_kopf_ends_its_own_tasks_only():
    ours = asyncio.ensure_future(asyncio.Event().wait())
    kopfs = asyncio.ensure_future(kopf.run_tasks([]))
    others = kopf_watch._TasksOfOthers()
    assert ours in others
    assert asyncio.current_task() in others
    assert kopfs not in others
    for task in (ours, kopfs):
        task.cancel()
    await asyncio.gather(ours, kopfs, return_exceptions=True)


def test_attempts_never_end_and_stay_close():
    pauses = list(itertools.islice(iter(settings_of().networking.error_backoffs), 500))
    assert max(pauses) <= 5.0
    assert min(pauses) >= 0.1
    assert next(iter(Pauses())) <= 0.2, "each request begins anew"
    assert settings_of().process.ultimate_exiting_timeout is None


async def test_short_watches_are_paced_and_nothing_else_is():
    time, sent = VirtualTime(), []
    pace = WatchPace(Backoff(sleep=time.sleep, chance=lambda: 1.0), time)

    async def handler(request: Any) -> Any:
        sent.append(time.now)

    async def ask(number: int, **query: str) -> None:
        request: Any = SimpleNamespace(url=SimpleNamespace(query=query, path="/models"))
        for _ in range(number):
            await pace(request, handler)

    for _ in range(2):
        asking = asyncio.ensure_future(ask(1000, watch="true"))
        await time.run(60)
        assert 10 <= len(sent) <= 17
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        sent.clear()
        await time.run(60)
    await ask(50)
    assert sent == [time.now] * 50


async def test_refused_token_is_tried_again_with_pauses():
    """Kopf logs in again after each 401, without any pause of its own."""
    time, made = VirtualTime(), []
    registry = registry_of(
        server="https://here",
        session=lambda pace: made.append(time.now) or SimpleNamespace(),
        on_model=lambda *_: None,
        backoff=Backoff(sleep=time.sleep),
        monotonic=time,
    )
    (login,) = registry._activities.get_all_handlers()

    async def log_in() -> None:
        for _ in range(1000):
            await login.fn()

    asking = asyncio.ensure_future(log_in())
    await time.run(60)
    assert 10 <= len(made) <= 32
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("message", ["Request attempt #3 failed; will retry: GET /apis"])
def test_each_failed_attempt_is_not_worth_a_line(message):
    record: Any = SimpleNamespace(msg=message)
    assert not kopf_watch._is_worth_a_line(record)
