"""Bounds of all versions: what is sent to Envoy, when, and when it is taken away."""

from modelfleet.facts.route import Route, RouteWeight
from modelfleet.facts.traffic import GatewaySample, ModelSample, VersionSample
from modelfleet.gateway.bounds.limits import ACCEPTED_SECONDS, RequestLimits, Serving
from modelfleet.gateway.bounds.throughput import MAX_REQUESTS

MODEL, VERSION = "team-a/churn", "churn-v1"
KEY = "circuit_breakers.team-a/churn-v1/pods.default.max_requests"


class World:
    """One version behind the limits of one gateway."""

    def __init__(self) -> None:
        self.now = 100.0
        self.limits = RequestLimits(lambda: self.now)
        self.replicas = 2
        self.is_served = True
        self.route = Route(1, (RouteWeight(VERSION, 100),), overload_wait_seconds=5)

    def serving(self, model: str, version: str) -> Serving | None:
        return Serving(self.route, self.replicas) if self.is_served else None

    def second(self, answers: int, latency: float, held: int = 0) -> dict[str, int | None]:
        self.now += 1.0
        seen = VersionSample(
            arrivals=answers,
            service_seconds=answers * latency,
            latency={40: answers},
            in_flight=round(answers * latency),
        )
        models = {MODEL: ModelSample({VERSION: seen}, held)}
        return self.limits.after(GatewaySample("g", 1.0, models), self.serving)


def test_unknown_throughput_is_bounded_by_a_number_per_replica():
    world = World()
    assert world.second(5, 0.1) == {KEY: 2000}
    assert world.second(5, 0.1) == {}, "sent once"


def test_a_fast_model_may_have_more_under_way_than_that():
    world = World()
    assert world.second(800, 0.1) == {KEY: 800 * 50}, "what it was seen to answer in 50 s"


def test_without_replicas_nothing_is_bounded():
    world = World()
    world.replicas = 0
    assert world.second(5, 0.1) == {KEY: MAX_REQUESTS}


def test_held_requests_may_be_released():
    world = World()
    world.second(5, 0.1)
    assert world.second(5, 0.1, held=900) == {KEY: 2900}
    world.now += ACCEPTED_SECONDS
    assert world.second(5, 0.1) == {KEY: 2000}


def test_a_replica_that_leaves_does_not_refuse_what_it_had_accepted():
    world = World()
    world.second(5, 0.1)
    world.replicas = 1
    assert world.second(5, 0.1) == {}
    world.now += ACCEPTED_SECONDS
    assert world.second(5, 0.1) == {KEY: 1000}


def test_a_restarted_envoy_is_told_again():
    world = World()
    world.second(5, 0.1)
    world.limits.restart()
    assert world.second(5, 0.1) == {KEY: 2000}


def test_bounds_of_what_is_gone_are_taken_away():
    world = World()
    world.second(5, 0.1)
    world.limits.forget(MODEL, frozenset({"churn-v2"}))
    world.is_served = False
    assert world.second(0, 0.0) == {KEY: None}
    assert world.second(0, 0.0) == {}


def test_a_version_that_is_not_served_is_left_alone():
    world = World()
    world.is_served = False
    assert world.second(5, 0.1) == {}


def test_a_model_that_rests_keeps_its_bound():
    world = World()
    world.second(5, 0.1)
    world.now += 1.0
    assert world.limits.after(GatewaySample("g", 1.0, {}), world.serving) == {}
