"""Events are writes, too: none is posted while another operator may lead."""

import asyncio

from modelfleet.facts.plan import EventFact
from modelfleet.kube.event_publisher import Publisher
from tests.doubles.api_double import ApiDouble

MODEL = {
    "apiVersion": "modelfleet.dev/v1alpha1",
    "kind": "MLModel",
    "metadata": {"namespace": "ns", "name": "digits", "uid": "u"},
}


async def test_event_is_posted_only_while_the_lease_is_held():
    api, is_held = ApiDouble(), False
    publisher = Publisher(api, "me", lambda: is_held)
    running = asyncio.ensure_future(publisher.run())
    for number in range(3):
        publisher.publish(MODEL, EventFact("Normal", "Promoted", f"number {number}"))
    await asyncio.sleep(0)
    assert api.writes == []
    is_held = True
    publisher.publish(MODEL, EventFact("Normal", "Promoted", "number 3"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert api.writes == ["post Event"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_an_event_is_posted_once_in_ten_minutes_and_forgotten_after_that():
    now = 0.0
    publisher = Publisher(ApiDouble(), "me", lambda: True, lambda: now)

    def publish(number: int) -> int:
        publisher.publish(MODEL, EventFact("Normal", "Promoted", f"number {number}"))
        return publisher._waiting.qsize()

    assert [publish(0), publish(1), publish(0)] == [1, 2, 2]
    now = 599.0
    assert publish(0) == 2
    now = 600.0
    assert publish(0) == 3
    assert len(publisher._sent) == 1, "the other one is old"


def test_events_of_many_models_have_a_bound():
    publisher = Publisher(ApiDouble(), "me", lambda: True, lambda: 0.0)
    for number in range(10_500):
        publisher.publish(MODEL, EventFact("Normal", "Promoted", f"number {number}"))
    assert len(publisher._sent) == 10_000
