"""The generator against servers that misbehave: each fault is counted once, nothing is retried."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from tests.load.answers import Question
from tests.load.control import Command
from tests.load.generator import Generator
from tests.load.plan import Plan
from tests.load.schedule import read_steps

LABELS = [1, 2]
BODY = json.dumps(
    {"model_version": "v1", "outputs": [{"name": "label", "shape": [2], "data": LABELS}]}
).encode()
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY) + 9, BODY)
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def server(answer, *, closes=False, after=None):
    """Gives ``(url, heads)``; answers each request with ``answer``, then may close."""
    heads = []

    async def serve(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append(head)
                await reader.readexactly(2)
                if after is not None:
                    await after.wait()
                writer.write(answer)
                await writer.drain()
                if closes:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", heads
    finally:
        listening.close()


def generator(url, told=None, **changes):
    plan = {"steps": read_steps([[0.2, 50]]), "pacing": "uniform", "allow": {"v1": "one"}}
    made = Plan(url, "digits.a.localhost", "", **{**plan, **changes})
    question = Question(b"{}", {"one": LABELS})
    return Generator(made, [question], (told if told is not None else []).append)


async def test_correct_answers_are_counted_and_the_host_is_sent():
    async with server(WHOLE) as (url, heads):
        run = generator(url, fresh_share=0.5)
        await run.run()
    assert (run.total.sent, run.total.ok, run.total.failed) == (10, 10, 0)
    assert all(b"host: digits.a.localhost" in head.lower() for head in heads)


async def test_clock_of_a_machine_that_has_been_up_for_long_loses_no_request(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 5e7, time=time.time)
    monkeypatch.setattr("tests.load.generator.time", clock)
    async with server(WHOLE) as (url, _):
        run = generator(url)
        await run.run()
    assert (run.total.sent, run.total.ok) == (10, 10), "0.02 s are rounded up by that clock"


@pytest.mark.parametrize(
    ("answer", "closes", "reason"),
    [(BUSY, False, "status 503"), (CUT, True, "broken"), (b"", True, "broken")],
)
async def test_a_fault_is_one_failure_and_is_not_retried(answer, closes, reason):
    async with server(answer, closes=closes) as (url, heads):
        run = generator(url)
        await run.run()
    assert run.total.reasons == {reason: 10}
    assert len(heads) == run.total.sent == 10


async def test_nobody_there_is_a_failure_for_each_request():
    async with server(WHOLE) as (url, _):
        pass
    run = generator(url)
    await run.run()
    assert run.total.reasons == {"broken": 10}


async def test_answers_that_do_not_come_hold_nobody_back():
    gate = asyncio.Event()
    async with server(WHOLE, after=gate) as (url, heads):
        run = generator(url)
        task = asyncio.create_task(run.run())
        async with asyncio.timeout(5):
            while len(heads) < 10:  # noqa: ASYNC110 - real sockets, no event to wait for
                await asyncio.sleep(0.01)
            assert run.total.ok == 0
            gate.set()
            await task
    assert run.total.ok == 10


async def test_over_its_bound_a_request_fails_instead_of_waiting():
    gate = asyncio.Event()
    async with server(WHOLE, after=gate) as (url, _):
        run = generator(url, most_in_flight=3)
        task = asyncio.create_task(run.run())
        async with asyncio.timeout(5):
            while run.total.sent < 10:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        gate.set()
        await task
    assert run.total.reasons == {"generator full": 7}


async def test_most_requests_bounds_the_run():
    async with server(WHOLE) as (url, _):
        run = generator(url, most_requests=4)
        await run.run()
    assert run.total.sent == 4


async def test_once_is_reported_and_phases_are_counted_apart():
    told = []
    async with server(WHOLE) as (url, _):
        run = generator(url, told, steps=(), stay=True)
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0)
        run.apply(Command(phase="wake", once=2))
        run.apply(Command(phase="after", stop=True))
        await task
    assert [each["reason"] for each in told] == ["", ""]
    assert run.phases["wake"].ok == 2
    assert run.phases["after"].sent == 0


async def test_a_version_that_is_no_longer_allowed_is_seen():
    async with server(WHOLE) as (url, _):
        run = generator(url, steps=(), stay=True)
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0)
        run.apply(Command(allow={"v2": "one"}))
        run.apply(Command(once=1, stop=True))
        await task
    assert run.total.reasons == {"version not allowed": 1}
