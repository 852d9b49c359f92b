"""The source of signals on a virtual clock, against a server that can fail in each way."""

import asyncio
import re
import threading
import time

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading, SignalSpec, Watched
from modelfleet.prometheus.queries import LABEL, MAX_QUERIES, QueryRejected, ServerSilent
from modelfleet.prometheus.signal_reader import PrometheusSource, Rhythm

A, B = Key("team", "a"), Key("team", "b")
LAG = SignalSpec("lag", 2.0, query="lag")
BAD = SignalSpec("bad", 1.0, query="bad")
QUEUE = SignalSpec("queue", 4.0, metric="QueueDepth")
_MARKED = re.compile(r'topk\(2,\n(.*?)\n\), "modelfleet_signal", "(\w+)"', re.DOTALL)


class Server:
    """Answers by the text of each query: a number, a list of numbers, or an error to raise."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {"lag": 10}
        self.pods: dict[str, float] = {}
        self.up: dict[str, int] = {}
        self.asked: list[str] = []
        self.silent = False

    def ask(self, query: str):
        self.asked.append(query)
        if self.silent:
            raise ServerSilent("refused")
        if LABEL not in query:
            table = self.up if query.endswith("(up)") else self.pods
            return [
                {"metric": {"namespace": "team", "pod": pod}, "value": [0, str(value)]}
                for pod, value in table.items()
            ]
        rows = []
        for text, mark in _MARKED.findall(query):
            found = self.answers[text.removeprefix("vector(\n").removesuffix("\n)")]
            if isinstance(found, Exception):
                raise found
            if isinstance(found, str) and not text.startswith("vector("):
                raise QueryRejected("expected type instant vector, got scalar")
            values = found if isinstance(found, list) else [found]
            rows += [{"metric": {LABEL: mark}, "value": [0, str(v)]} for v in values]
        return rows


class World:
    """The source with its clock; each step is one poll."""

    def __init__(self, watched: dict[Key, Watched]) -> None:
        self.now = 1000.0
        self.server = Server()
        self.watched = watched
        self.source = PrometheusSource(
            self.server, lambda: self.watched, Rhythm(10.0), lambda: self.now
        )

    async def after(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            await self.source.round()

    def reading(self, key: Key = A, spec: SignalSpec = LAG) -> Reading:
        return self.source.readings(key, [spec])[0]


@pytest.fixture
def world() -> World:
    return World({A: Watched((LAG,))})


def why(reading: Reading) -> Reason | None:
    return reading.fault.reason if reading.fault else None


async def test_nothing_is_known_before_the_first_answer(world):
    reading = world.reading()
    assert (reading.value, reading.is_current, reading.is_known) == (None, False, False)
    await world.after(1)
    reading = world.reading()
    assert (reading.value, reading.is_current, reading.is_known) == (10.0, True, True)


async def test_interval_is_kept_and_a_new_signal_does_not_wait_for_it(world):
    await world.after(31)
    assert len(world.server.asked) == 4
    world.server.answers["new"] = 3
    new = SignalSpec("new", 1.0, query="new")
    world.watched = {A: Watched((LAG, new))}
    await world.after(1)
    assert world.reading(spec=new).value == 3
    assert "lag" not in world.server.asked[-1]


async def test_nothing_watched_asks_nothing():
    world = World({})
    await world.after(60)
    assert world.server.asked == []


async def test_only_namespaces_that_are_allowed_ask_a_query():
    other = Key("tenant", "digits")
    metric = SignalSpec("queue", 1.0, metric="QueueDepth")
    world = World({A: Watched((LAG,)), other: Watched((LAG, metric))})
    world.source = PrometheusSource(
        world.server,
        lambda: world.watched,
        Rhythm(10.0),
        lambda: world.now,
        query_namespaces=(A.namespace,),
    )
    await world.after(1)
    assert world.reading().value == 10.0
    refused = world.reading(other)
    assert why(refused) is Reason.QUERY_NOT_ALLOWED
    assert (refused.value, refused.is_current, refused.is_known) == (None, False, True)
    assert why(world.reading(other, metric)) is not Reason.QUERY_NOT_ALLOWED
    assert sum("lag" in text for text in world.server.asked) == 1


FAULTS = [
    ([], Reason.NO_SERIES),
    ([1, 2], Reason.MANY_SERIES),
    ("nan", Reason.WRONG_VALUE),
    ("-inf", Reason.WRONG_VALUE),
    (-1, Reason.WRONG_VALUE),
    (1e30, Reason.WRONG_VALUE),
    (QueryRejected("parse error"), Reason.QUERY_FAILED),
]


@pytest.mark.parametrize(("answer", "reason"), FAULTS, ids=str)
async def test_wrong_from_the_start_is_said_at_once(world, answer, reason):
    world.server.answers["lag"] = answer
    await world.after(2)
    reading = world.reading()
    assert (reading.value, reading.is_current, why(reading)) == (None, False, reason)


@pytest.mark.parametrize(("answer", "reason"), FAULTS, ids=str)
async def test_wrong_later_holds_at_once_is_said_when_it_lasts_and_heals(world, answer, reason):
    await world.after(15)
    world.server.answers["lag"] = answer
    await world.after(11)
    reading = world.reading()
    assert (reading.value, reading.is_current, why(reading)) == (10.0, False, None)
    await world.after(75)
    reading = world.reading()
    assert (reading.value, reading.is_current, why(reading)) == (None, False, reason)
    world.server.answers["lag"] = 12
    await world.after(400)
    reading = world.reading()
    assert (reading.value, reading.is_current, why(reading)) == (12.0, True, None)


async def test_server_that_goes_away_and_returns(world):
    await world.after(15)
    world.server.silent = True
    await world.after(20)
    assert why(world.reading()) is None
    await world.after(60)
    assert why(world.reading()) is Reason.PROMETHEUS_SILENT
    world.server.silent = False
    await world.after(10)
    assert world.reading().is_current
    assert why(world.reading()) is None


async def test_silent_server_is_asked_once_a_round():
    world = World({Key("team", f"m{i}"): Watched((LAG,)) for i in range(200)})
    await world.after(12)
    world.server.silent = True
    world.server.asked.clear()
    await world.after(10)
    assert len(world.server.asked) == 1


async def test_value_without_a_new_answer_grows_old(world):
    await world.after(1)
    world.now += 61
    reading = world.reading()
    assert (reading.value, reading.is_current, why(reading)) == (None, False, Reason.STALE_SIGNAL)


async def test_long_intervals_are_four_of_them_old():
    assert Rhythm(60.0).stale_seconds == 240
    assert Rhythm(10.0).stale_seconds == 60


def test_without_an_address_it_says_so():
    source = PrometheusSource(None, dict, Rhythm())
    reading = source.readings(A, [LAG])[0]
    assert (why(reading), reading.is_current) == (Reason.PROMETHEUS_OFF, False)


async def test_bad_query_blinds_no_other_and_is_tried_ever_less_often():
    many = {Key("team", f"m{i:03}"): Watched((LAG,)) for i in range(100)}
    world = World(many | {A: Watched((BAD,))})
    world.server.answers["bad"] = QueryRejected("many-to-many matching not allowed")
    await world.after(1)
    assert all(world.reading(key).is_current for key in many)
    bad = world.reading(A, BAD)
    assert why(bad) is Reason.QUERY_FAILED
    assert "many-to-many" in bad.fault.message
    assert len(world.server.asked) <= 4 + 2 * 6 + 2
    world.server.asked.clear()
    await world.after(600)
    tried = [query for query in world.server.asked if "\nbad\n" in query]
    # Alone from now on, in both forms, after 30, 60, 120 and 300 s.
    assert 6 <= len(tried) <= 10
    assert all(query.count(LABEL) == 1 for query in tried)
    assert all(world.reading(key).is_current for key in many)


async def test_thousand_signals_are_few_queries():
    world = World({Key("team", f"m{i:04}"): Watched((LAG,)) for i in range(1000)})
    await world.after(1)
    assert len(world.server.asked) == -(-1000 // MAX_QUERIES)


async def test_scalar_is_found_out_once(world):
    world.server.answers["lag"] = "7"
    await world.after(11)
    world.server.asked.clear()
    await world.after(10)
    assert (world.reading().value, len(world.server.asked)) == (7.0, 1)


async def test_words_that_move_are_said_once(world):
    world.server.answers["lag"] = QueryRejected("duplicate series {pod=one}")
    await world.after(1)
    first = world.reading().fault
    world.server.answers["lag"] = QueryRejected("duplicate series {pod=two}")
    await world.after(100)
    assert world.reading().fault == first


async def test_changed_query_starts_anew(world):
    world.server.answers["lag"] = QueryRejected("no")
    await world.after(5)
    fixed = SignalSpec("lag", 2.0, query="fixed")
    world.server.answers["fixed"] = 5
    world.watched = {A: Watched((fixed,))}
    await world.after(1)
    assert world.reading(spec=fixed).is_current


@pytest.mark.parametrize(
    ("pods", "up", "ready", "value", "is_current"),
    [
        ({"a1": 3, "a2": 4, "x": 99}, {}, ("a1", "a2"), 7.0, True),
        ({"a1": 3}, {"a1": 1}, ("a1", "a2"), 3.0, False),
        ({"a1": 3}, {"a1": 1, "a2": 1}, ("a1", "a2"), 3.0, True),
        ({"a1": 3}, {"a1": 1, "a2": 0}, ("a1", "a2"), 3.0, False),
        ({"a1": 3, "a2": 4}, {}, ("a1",), 7.0, True),
        ({"a1": -3}, {}, ("a1",), None, False),
        ({"a1": "NaN"}, {}, ("a1",), None, False),
        ({}, {"a1": 1}, ("a1",), None, False),
        ({}, {}, (), None, False),
    ],
    ids=["all", "part", "silent", "down", "leaving", "negative", "nan", "none", "no-replica"],
)
async def test_canonical_metric_is_the_sum_over_the_replicas(pods, up, ready, value, is_current):
    world = World({A: Watched((QUEUE,), ("a1", "a2"), ready)})
    world.server.pods, world.server.up = pods, up
    await world.after(1)
    reading = world.reading(spec=QUEUE)
    assert (reading.value, reading.is_current) == (value, is_current)
    assert reading.fault is None, "a replica that has just come is no fault"
    await world.after(75)
    assert (world.reading(spec=QUEUE).fault is None) == (is_current or not ready)


async def test_one_query_for_each_metric_whatever_the_number_of_models():
    keys = [Key("team", f"m{i}") for i in range(300)]
    world = World({key: Watched((QUEUE,), ("a1",), ("a1",)) for key in keys})
    world.server.pods = {"a1": 5}
    await world.after(1)
    assert len(world.server.asked) == 2
    assert world.reading(keys[7], QUEUE).value == 5


async def test_reading_is_made_in_a_thread_and_reads_do_not_wait(world):
    asked_in: list[str] = []
    is_asked, go = threading.Event(), threading.Event()

    def slow(_query: str):
        asked_in.append(threading.current_thread().name)
        is_asked.set()
        go.wait(5)
        return []

    world.server.ask = slow
    task = asyncio.create_task(world.source.round())
    await asyncio.to_thread(is_asked.wait, 5)
    began = time.perf_counter()
    world.reading()
    assert time.perf_counter() - began < 0.05
    go.set()
    await task
    assert asked_in[0] != threading.main_thread().name
