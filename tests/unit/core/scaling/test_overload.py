"""When a model is overloaded, by how much, and what people read of it."""

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.core.model.decide import decide
from modelfleet.core.model.next_route import longest_waits
from modelfleet.core.scaling import overload
from modelfleet.core.scaling.overload import NONE, overload_factor
from modelfleet.facts.scaling import Bucket
from tests.given import a_model, spec_of


def buckets(*seconds: tuple[int, int]) -> list[Bucket]:
    """Arrivals and refusals of each second up to now, which is 100."""
    first = 101.0 - len(seconds)
    return [
        Bucket(first + i, 1.0, arrivals, arrivals - refused, 0.0, 0, 0, refused=refused)
        for i, (arrivals, refused) in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "before", "factor"),
    [
        ([(300, 200)] * 5, NONE, 3.0),
        ([(110, 10)] * 5, NONE, 1.1),
        ([(100, 0)] * 5, NONE, NONE),
        ([(100, 0)] * 4 + [(100, 50)], NONE, NONE),
        ([(1000, 1)] * 5, NONE, NONE),
        ([(2, 1)] * 3, NONE, NONE),
        ([(300, 200)] * 5, 2.0, 2.0),
        ([(300, 200)] * 5, 10.0, 3.0),
        ([(300, 200)] * 5 + [(100, 0)] * 15, 3.0, 3.0),
        ([(300, 200)] * 5 + [(100, 0)] * 31, 3.0, NONE),
        ([(5, 5)] * 5, NONE, 20.0),
        ([], 3.0, NONE),
    ],
)
def test_factor(seconds, before, factor):
    assert overload_factor(buckets(*seconds), 100.0, before) == factor


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, (50, 10)),
        ({"scaling": {"hold": {"maxSeconds": 8}}}, (8, 8)),
        ({"objective": {"latencyMilliseconds": 100}}, (50, 5)),
        ({"objective": {"latencyMilliseconds": 2000}}, (50, 20)),
        ({"objective": {"latencyMilliseconds": 60_000}}, (50, 50)),
        (
            {"objective": {"latencyMilliseconds": 100}, "scaling": {"hold": {"maxSeconds": 2}}},
            (2, 2),
        ),
        ({"scaling": {"overload": {"maxWaitSeconds": 3}}}, (3, 3)),
        ({"scaling": {"overload": {"maxWaitSeconds": 90}}}, (90, 90)),
    ],
)
def test_longest_waits(fields, waits):
    assert longest_waits(spec_of(**fields)) == waits


def degraded(status) -> tuple[str, str, str]:
    found = next(c for c in status.conditions if c.type == "Degraded")
    return found.status, found.reason, found.message


def ready(status) -> str:
    return next(c for c in status.conditions if c.type == "Ready").status


@pytest.mark.parametrize(
    ("fields", "granted", "advice"),
    [
        ({"scaling": {"maxReplicas": 2}}, 2, "raise scaling.maxReplicas (2)"),
        ({"scaling": {"maxReplicas": 5}}, 2, "more replicas are added"),
        ({"replicas": 2}, 2, "raise spec.replicas (2)"),
        ({"scaling": {"mode": "Off"}}, 2, "set Auto"),
    ],
)
def test_an_overload_is_said_and_the_model_stays_ready(fields, granted, advice):
    world = a_model().asking(**fields).serving(2).granted(granted).with_facts(overload=3.0)
    plan = decide(world.facts())
    status, reason, message = degraded(plan.status)
    assert (status, reason) == ("True", Reason.OVERLOADED)
    assert "about 3 times as many requests arrive as 2 replicas can answer in time" in message
    assert "503 with Retry-After" in message
    assert advice in message
    assert ready(plan.status) == "True"
    assert [e.reason for e in plan.events if e.type == "Warning"] == ["Overloaded"]


def test_a_new_leader_keeps_what_the_last_one_said_until_it_knows():
    world = a_model().serving(2).granted(2).with_facts(overload=3.0)
    first = decide(world.facts()).status
    world.status = first.model_dump(by_alias=True)
    assert degraded(decide(world.with_facts(overload=None).facts()).status) == degraded(first)
    assert degraded(decide(world.with_facts(overload=NONE).facts()).status)[0] == "False"


def test_words_are_the_same_while_the_factor_is():
    spec = spec_of()
    facts = a_model().serving(1).with_facts(overload=1.5).facts()
    assert overload.message(facts, spec, 1, 10) == overload.message(facts, spec, 1, 10)
    assert "1 replica can" in overload.message(facts, spec, 1, 10)
