"""Any request that a client may send: its answer cold is its answer warm, byte for byte."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from modelfleet.gateway.requests.envoy_server import EnvoyRequest, Handler
from modelfleet.gateway.requests.holder import TOO_LARGE
from tests.gateway.conftest import a_network
from tests.gateway.drawn_requests import BOUND, REQUESTS, DrawnRequest, answers
from tests.gateway.echo import EchoServer
from tests.gateway.rig import CLUSTER_PORT, Rig, until

DRAWN = int(os.environ.get("MODELFLEET_DRAWN_REQUESTS", "200"))
BATCH = 25
COUNTED: Counter[str] = Counter()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One loop for all batches of this file."""
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture(scope="module")
def drawn_rig(
    loop: asyncio.AbstractEventLoop, envoy_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """One gateway and an echo that has left the model's endpoints."""
    with a_network() as number:
        made = Rig(envoy_binary, Path(tmp_path_factory.mktemp("rig")), number)
        loop.run_until_complete(_started(made))
        yield made
        loop.run_until_complete(made.close())
        print(f"requests, each cold and warm: {dict(COUNTED)}")


async def _started(rig: Rig) -> None:
    echo = await EchoServer(f"{rig.network}.1.1").start()
    rig.servers[echo.address] = echo
    rig.version(1)
    rig.endpoints(1)
    rig.route({1: 100}, max_replay_bytes=BOUND)
    await rig.gateway()


async def asked(rig: Rig, batch: list[DrawnRequest]) -> list[asyncio.Task[list[Any]]]:
    address = rig.gateways[0].address
    return [asyncio.create_task(answers(request, address, CLUSTER_PORT)) for request in batch]


async def differences(rig: Rig, batch: list[DrawnRequest]) -> list[Any]:
    """Requests whose answers differ: all are held at once, a replica comes, all come again."""
    holder = rig.gateways[0].agent.holder
    rig.endpoints(1)
    await rig.fed(1)
    tasks = await asked(rig, batch)
    waiting = lambda: sum(holder.held.values()) + sum(task.done() for task in tasks)  # noqa: E731
    await until(lambda: waiting() == len(batch))
    rig.endpoints(1, 1)
    cold = [await task for task in tasks]
    await rig.fed(1, 1)
    warm = [await task for task in await asked(rig, batch)]
    COUNTED.update(request.wire for request in batch)
    COUNTED.update(_status(answer) for got in warm for answer in got)
    return [
        (request, before, after)
        for request, before, after in zip(batch, cold, warm, strict=True)
        if before != after
    ]


def _status(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer[0], list):
        return next((v for k, v in answer[0][0] if k == b":status"), b"reset").decode()
    return answer[0].split(b" ")[1].decode()


def told(found: list[Any]) -> str:
    """Each difference in a few lines: what was drawn otherwise than the plain request."""
    plain, lines = vars(DrawnRequest()), []
    for request, cold, warm in found:
        drawn = {k: v for k, v in vars(request).items() if v != plain[k]}
        lines += [str(part)[:600] for part in (drawn, cold, warm)]
    return "\n".join(lines)


@settings(
    max_examples=-(-DRAWN // BATCH),
    # Each request of a batch is judged by itself: there is nothing to shrink.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(batch=st.lists(REQUESTS, min_size=BATCH, max_size=BATCH))
@pytest.mark.timeout(3600)
def test_any_request_finds_the_same_answer_cold_and_warm(loop, drawn_rig, batch):
    found = loop.run_until_complete(differences(drawn_rig, batch))
    assert not found, told(found)


@settings(
    max_examples=max(4, DRAWN // 50),
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(request=REQUESTS, more=st.integers(1, 100_000))
def test_only_a_body_above_the_bound_is_refused_cold(loop, drawn_rig, request, more):
    """The one difference by intent; concepts/gateway.md says it under "Times"."""
    plain = {"headers": (), "method": "POST", "path": ("a",), "query": None, "is_twice": False}
    large = replace(request, size=BOUND + more, **plain)
    [(_, cold, warm)] = loop.run_until_complete(differences(drawn_rig, [large]))
    assert {_status(answer) for answer in cold} == {"503"}
    assert TOO_LARGE in str(cold)
    assert {_status(answer) for answer in warm} == {"200"}


class StrictServer:
    """The holder behind a server for applications, as it once was."""

    def __init__(self, handler: Handler) -> None:
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._handler = handler
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True)

    async def start(self, address: str, port: int) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = EnvoyRequest(request.method, headers, request.content_length)
        async for part in request.content.iter_any():
            asked.count(len(part))
        asked.count(0)
        return await self._handler(asked)


def test_a_holder_that_refuses_what_envoy_takes_would_be_found(
    loop, envoy_binary, tmp_path, monkeypatch
):
    monkeypatch.setattr("modelfleet.gateway.agent.EnvoyServer", StrictServer)
    batch = [
        DrawnRequest(),
        DrawnRequest(wire="2", method="OWN"),
        DrawnRequest(wire="2", path=("é",)),
        DrawnRequest(headers=(("expect", "own"),)),
    ]
    with a_network() as number:
        rig = Rig(envoy_binary, tmp_path, number)
        loop.run_until_complete(_started(rig))
        found = loop.run_until_complete(differences(rig, batch))
        loop.run_until_complete(rig.close())
    assert [request for request, _, _ in found] == batch[1:]
