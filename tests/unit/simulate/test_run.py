"""Worlds and controllers in lockstep."""

import numpy as np
import pytest

from modelfleet.simulate.baselines.static import Static
from modelfleet.simulate.run import follow, run, run_fleet
from tests.unit.simulate.given import a_world

pytestmark = pytest.mark.long


class Recorder:
    """Keeps what it saw; wants what it was told."""

    name = "recorder"
    wake_seconds: float | None = None

    def __init__(self, interval=10.0, delay=0.0, wanted=1, wake=None):
        self.interval_seconds, self.delay_seconds = interval, delay
        self.wanted, self.wake_seconds, self.seen = wanted, wake, []
        self.memory_seconds = 60.0

    def decide(self, seen):
        self.seen.append(seen)
        return self.wanted


class Fleet:
    interval_seconds = 5.0

    def __init__(self):
        self.seen = []

    def decide(self, seen):
        self.seen.append(list(seen))
        return [1, 2]


def test_controller_is_asked_every_interval():
    scaler = Recorder()
    run(a_world(1, until=60), scaler)
    assert [s.now for s in scaler.seen] == [10, 20, 30, 40, 50, 60]


def test_what_is_seen_is_as_old_as_the_delay():
    scaler = Recorder(delay=4.0)
    world = run(a_world(1, until=20), scaler)
    assert [s.now for s in scaler.seen] == [6, 16]
    assert world.result().billed_seconds == pytest.approx(10)


def test_activator_starts_the_first_replica_out_of_turn():
    world = run(a_world(12, until=60), Recorder(interval=60, wake=0.5))
    score = world.result()
    assert score.starts == 1
    assert score.violations == 1
    assert score.billed_seconds == pytest.approx(60 - 12.5)


def test_without_activator_the_next_tick_starts_it():
    world = run(a_world(12, until=60), Recorder(interval=20))
    assert world.result().billed_seconds == pytest.approx(40)


def test_long_rest_is_skipped():
    scaler = Recorder(wanted=0, interval=2.0)
    run(a_world(50_000, until=60_000), scaler)
    assert len(scaler.seen) < 6000
    assert scaler.seen[-1].queued == 1
    assert sum(s.arrivals for s in scaler.seen) == 1


def test_schedule_is_followed_at_its_steps():
    world = follow(a_world(100, until=60), np.array([0, 0, 2, 1]), 10.0)
    assert world.result().billed_seconds == pytest.approx(2 * 10 + 30)
    assert world.result().starts == 2


def test_fleet_runs_in_one_pass():
    fleet = Fleet()
    worlds = run_fleet([a_world(1, until=20), a_world(1, 2, until=20)], fleet)
    assert [w.have() for w in worlds] == [1, 2]
    assert [s.now for s in fleet.seen[0]] == [4, 4]
    assert sum(s[1].arrivals for s in fleet.seen) == 2


def test_static_costs_its_size():
    assert run(a_world(1, initial=3, until=60), Static(3)).result().billed_seconds == 180
