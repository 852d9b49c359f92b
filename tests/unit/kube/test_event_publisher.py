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
