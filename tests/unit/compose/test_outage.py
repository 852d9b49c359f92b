"""An outage of the API server and the whole operator around it, but for Kopf: one process lives on.

Everything is the product's own except the API server and the time.
"""

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from modelfleet.backoff import Backoff
from modelfleet.compose import caches
from modelfleet.compose.caches import count_models, fill, refresh, stores_of
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.loop.operator_health import OperatorHealth
from modelfleet.engine.loop.queue import KeyQueue
from modelfleet.engine.loop.terms import Terms
from modelfleet.engine.loop.worker import TurnResult, Workers
from modelfleet.errors import Transient
from modelfleet.facts.identity import Key
from modelfleet.kube import reflector
from modelfleet.kube.lease import Lease
from modelfleet.kube.resource import CONFIG_MAPS
from modelfleet.settings import Settings
from tests.doubles.api_double import ApiDouble
from tests.doubles.virtual_time import VirtualTime

MODELS = 20


def model(number: int) -> dict[str, Any]:
    name = f"m{number}"
    meta = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(number + 1)}
    return {"metadata": meta}


class Process:
    """One operator; each turn writes once, where the Lease is held."""

    def __init__(self, api: ApiDouble, time: VirtualTime, identity: str = "a") -> None:
        self.api, self.time = api, time
        self.queue, self.ledger = KeyQueue(time), Ledger()
        settings = Settings(lease_seconds=8.0)
        self.stores = stores_of(api, settings, self.queue)
        self.lease = Lease(
            api,
            namespace="system",
            name="operator",
            identity=identity,
            seconds=8.0,
            monotonic=time,
            sleep=time.sleep,
        )
        self.turns: list[tuple[float, Key]] = []
        self.unheld_writes = 0
        ready = asyncio.Event()
        ready.set()
        count = partial(count_models, api, self.stores, settings)
        self.terms = Terms(
            self.lease,
            fill=partial(fill, self.stores, ready, count),
            refresh=partial(refresh, self.stores, count),
            begin=lambda: self.queue.restart(self.stores.keys(self.ledger)),
            lead=Workers(self.queue, self.turn, count=4, monotonic=time).run,
            end=self.ledger.end_term,
            monotonic=time,
        )
        self.health = OperatorHealth(time)
        self.stores.watch_health(self.health)
        parts: list[Awaitable[Any]] = [
            self.terms.run(),
            *(each.run() for each in self.stores.reflectors),
        ]
        self.tasks = [asyncio.ensure_future(part) for part in parts]

    async def turn(self, key: Key) -> TurnResult:
        if not self.lease.is_held:
            raise Transient("the Lease is not held", retry_after=1.0)
        await self.api.get(CONFIG_MAPS, "ns", "c")
        self.unheld_writes += not self.lease.is_held
        self.turns.append((self.time.now, key))
        return TurnResult(1, None)

    async def end(self) -> None:
        assert not any(task.done() for task in self.tasks), "the process lives on"
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
def time(monkeypatch) -> VirtualTime:
    virtual = VirtualTime()
    paced = partial(Backoff, sleep=virtual.sleep)
    monkeypatch.setattr(caches, "Backoff", paced)
    monkeypatch.setattr(reflector, "Backoff", paced)
    monkeypatch.setattr(reflector.Reflector.__init__, "__kwdefaults__", _clocked(virtual))
    return virtual


def _clocked(virtual: VirtualTime) -> dict[str, Any]:
    return {**reflector.Reflector.__init__.__kwdefaults__, "monotonic": virtual}


@pytest.fixture
def api() -> ApiDouble:
    double = ApiDouble()
    double.items["MLModel"] = [model(number) for number in range(MODELS)]
    double.objects["ConfigMap", "c"] = {"metadata": {"name": "c"}}
    return double


async def test_start_waits_for_an_api_server_that_is_away(api, time):
    api.away()
    process = Process(api, time)
    await time.run(600)
    assert process.stores.waiting() != []
    assert process.health.report().keys() <= {"loop"}
    api.back()
    await time.run(10)
    assert process.terms.is_leading
    assert {key.name for _, key in process.turns} == {f"m{n}" for n in range(MODELS)}
    await process.end()


@pytest.mark.parametrize("seconds", [3, 60, 3600])
async def test_leader_stands_by_through_an_outage_and_leads_again(api, time, seconds):
    process = Process(api, time)
    await time.run(30)
    assert len(process.turns) == MODELS
    api.away()
    with capture_logs() as lines:
        await time.run(seconds)
    loud = [line for line in lines if line["log_level"] in {"warning", "error"}]
    assert len(loud) <= 20, "an outage is logged once by each part"
    assert process.terms.is_leading == (seconds < 8)
    assert len(process.stores.models) == MODELS, "the stores stay"
    assert process.health.report().keys() <= {"loop"}
    before = sum(api.requests.values())
    api.back()
    await time.run(10)
    assert process.terms.is_leading
    if seconds > 8:
        assert len(process.turns) == 2 * MODELS, "every model once, as after a start"
    assert sum(api.requests.values()) - before <= 60 + MODELS
    assert process.unheld_writes == 0
    await process.end()


async def test_models_that_were_deleted_during_the_outage_are_gone_before_the_first_turn(api, time):
    process = Process(api, time)
    await time.run(30)
    api.away()
    await time.run(60)
    api.items["MLModel"] = [model(0)]
    api.version = 500
    api.back()
    await time.run(10)
    assert len(process.stores.models) == 1
    assert [key.name for _, key in process.turns[MODELS:]] == ["m0"]
    await process.end()


async def test_two_operators_are_never_leaders_at_once(api, time):
    first, second = Process(api, time, "a"), Process(api, time, "b")
    both = 0
    for round_ in range(40):
        await time.run(0.5)
        both += first.lease.is_held and second.lease.is_held
        if round_ % 10 == 9:
            api.away()
            await time.run(13)
            assert not first.terms.is_leading
            assert not second.terms.is_leading
            api.back()
    await time.run(20)
    assert both == 0
    assert first.terms.is_leading != second.terms.is_leading
    assert first.unheld_writes == second.unheld_writes == 0
    await first.end()
    await second.end()
