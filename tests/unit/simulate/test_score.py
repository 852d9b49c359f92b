"""Which minutes count, and sums over fleets."""

import numpy as np

from modelfleet.simulate.score import scored_minutes, total
from modelfleet.simulate.trace import Trace
from tests.unit.simulate.given import a_world


def test_history_and_gaps_are_not_scored():
    counts = np.full(4800, 25.0)
    counts[1200:1320] = 0
    scored = scored_minutes(Trace("x", 24_000, 5.0, counts), 3600)
    assert not scored[:60].any()
    assert not scored[100:110].any()
    assert scored[60:100].all()
    assert scored[110:].all()


def test_minute_that_a_gap_touches_is_out():
    counts = np.full(4800, 25.0)
    counts[1206:1326] = 0
    scored = scored_minutes(Trace("x", 24_000, 5.0, counts), 0)
    assert np.flatnonzero(~scored).tolist() == list(range(100, 111))


def test_waits_of_quantiles():
    world = a_world(*range(0, 60, 2), initial=1)
    world.advance(600)
    score = world.result()
    assert (score.wait_p50_seconds, score.wait_p99_seconds) == (0, 0)


def test_total_of_a_fleet():
    worlds = [a_world(5, until=60), a_world(5, initial=1, until=60)]
    for world in worlds:
        world.advance(60)
    found = total([w.result() for w in worlds])
    assert (found.requests, found.violations, found.billed_seconds) == (2, 1, 60)
    assert found.cold_requests == 1


def test_minutes_with_more_than_one_percent_violated():
    world = a_world(1, 2, 3, 100)
    world.scale_to(1)
    world.advance(600)
    assert world.result().bad_minutes_share == 0.5
