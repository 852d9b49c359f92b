"""Room for the bodies of held requests."""

from modelfleet.gateway.requests.held_bodies import HeldBodies


def test_each_model_may_have_half_of_what_the_others_leave():
    bodies = HeldBodies(8)
    assert bodies.has_room("a", 4)
    assert not bodies.has_room("a", 5)
    bodies.add("a", 4)
    assert bodies.has_room("a")
    assert not bodies.has_room("a", 1)
    assert bodies.has_room("b", 2)
    assert not bodies.has_room("b", 3)
    bodies.add("a", -4)
    assert (bodies.total_bytes, dict(bodies.by_model)) == (0, {})
    assert bodies.has_room("b", 4)
