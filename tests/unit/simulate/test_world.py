"""The event engine: queueing theory as oracle, and single events by hand."""

import math

import numpy as np
import pytest

from modelfleet.simulate.arrivals import Arrivals
from modelfleet.simulate.simulated_service import Batch, SimulatedService, batch_service
from modelfleet.simulate.world import World
from tests.unit.simulate.given import a_world

pytestmark = pytest.mark.long

SECONDS = 40_000.0


def poisson(rate: float, mean_work: float, seed: int = 1) -> Arrivals:
    chance = np.random.default_rng(seed)
    moments = np.sort(chance.random(chance.poisson(rate * SECONDS)) * SECONDS)
    work = chance.exponential(mean_work, len(moments)).astype(np.float32)
    return Arrivals(moments, work, np.zeros(1), SECONDS)


@pytest.mark.parametrize(("wait", "expected"), [(0.0, 0.4092), (0.5, 0.4092 * math.exp(-1))])
def test_waits_are_those_of_erlang_c(wait, expected):
    world = World(SimulatedService(0, wait, 10, 1, 1), poisson(8, 1), initial=1)
    world.advance(SECONDS)
    assert world.result().violations_percent / 100 == pytest.approx(expected, rel=0.03)


def test_replicas_times_slots_is_all_that_counts():
    world = World(SimulatedService(0, 0, 2, 1, 1), poisson(8, 1), initial=5)
    world.advance(SECONDS)
    assert world.result().violations_percent / 100 == pytest.approx(0.4092, rel=0.03)


def test_batching_replica_is_the_birth_death_chain_of_mu():
    batch, slots, rate = Batch(0.1, 10, 0.02, 0.002), 8, 14.0
    weights = [1.0]
    for n in range(1, 2000):
        weights.append(weights[-1] * rate / batch.throughput(min(n, slots)))
    expected = sum(weights[slots:]) / sum(weights)
    service = batch_service(batch, 0, 0, slots)
    world = World(service, poisson(rate, service.service_seconds), initial=1)
    world.advance(SECONDS)
    assert world.result().violations_percent / 100 == pytest.approx(expected, rel=0.05)


def test_batched_request_alone_is_faster_than_a_full_replica():
    service = batch_service(Batch(0, 1, 0.5, 0.5), 0, 1, slots=3)
    world = a_world(0, 10, 10, 10, service=service, initial=1, work=service.service_seconds)
    world.advance(5)
    assert world.observe().service_seconds == pytest.approx(1.0)
    world.advance(20)
    assert world.observe().service_seconds == pytest.approx(3 * 2.0)


def test_requests_wait_for_the_start_up():
    world = a_world(1, 9)
    world.scale_to(1)
    world.advance(10.5)
    look = world.observe()
    assert (look.ready, look.in_flight, look.queued) == (1, 2, 0)
    world.advance(20)
    assert world.observe().slow == 1
    assert world.result().violations == 1


def test_newest_starting_replica_is_cancelled_first():
    world = a_world(59.0)
    world.scale_to(1)
    world.advance(5)
    world.scale_to(2)
    world.advance(6)
    world.scale_to(1)
    world.advance(10)
    look = world.observe()
    assert (look.ready, look.starting) == (1, 0)
    assert world.result().billed_seconds == pytest.approx(10 + 1)


def test_removed_replica_finishes_and_is_paid_until_then():
    world = a_world(1, initial=1, work=4)
    world.advance(2)
    world.scale_to(0)
    world.advance(3)
    assert world.observe().draining == 1
    world.advance(100)
    assert world.observe().draining == 0
    score = world.result()
    assert (score.requests, score.violations) == (1, 0)
    assert score.billed_seconds == pytest.approx(5)


def test_draining_replica_takes_nothing_new():
    world = a_world(1, 2, 2, 2, initial=1, work=4)
    world.advance(1.5)
    world.scale_to(0)
    world.advance(50)
    look = world.observe()
    assert (look.completions, look.queued) == (1, 3)


def test_one_of_two_is_removed_and_its_free_slots_with_it():
    world = a_world(1, 1, 1, initial=2, work=5)
    world.scale_to(1)
    world.advance(1.5)
    look = world.observe()
    assert (look.in_flight, look.queued) == (2, 1)


def test_never_served_is_violated():
    world = a_world(100, until=120)
    world.advance(120)
    score = world.result()
    assert (score.violations, score.wait_p99_seconds) == (1, math.inf)


def test_observation_counts_since_the_last_look():
    world = a_world(1, 2, 30, initial=1)
    world.advance(10)
    first = world.observe()
    assert (first.seconds, first.arrivals, first.completions) == (10, 2, 2)
    assert first.busy_seconds == pytest.approx(2)
    world.advance(31)
    second = world.observe()
    assert (second.seconds, second.arrivals, second.completions) == (21, 1, 1)


def test_reversals_and_starts_are_counted():
    world = a_world(100)
    for at, wanted in ((10, 3), (20, 1), (30, 2), (40, 2)):
        world.advance(at)
        world.scale_to(wanted)
    score = world.result()
    assert (score.starts, score.reversals, score.peak_replicas) == (4, 2, 3)


def test_only_scored_minutes_count():
    service = SimulatedService(10, 2, 2, 1, 0)
    moments = np.array([30.0, 90.0, 150.0])
    drawn = Arrivals(moments, np.ones(3, dtype=np.float32), np.full(1, 10.0), 180)
    world = World(service, drawn, np.array([False, True, False]), initial=1)
    world.advance(180)
    score = world.result()
    assert (score.requests, score.billed_seconds, score.scored_seconds) == (1, 60, 60)


def test_world_may_begin_inside_a_trace():
    world = World(SimulatedService(10, 2, 2, 1, 0), poisson(1, 1), begin_seconds=1000, initial=3)
    world.advance(1060)
    look = world.observe()
    assert look.seconds == pytest.approx(60)
    assert 30 < look.arrivals < 90


def test_most_bounds_the_world():
    world = a_world(1)
    assert World(world.service, poisson(1, 1), most=5).scale_to(9) == 5
