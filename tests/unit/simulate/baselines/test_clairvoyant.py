"""The schedule with the future in view."""

import itertools

import numpy as np
import pytest

from modelfleet.simulate.baselines.clairvoyant import BETAS, Foresight, cheapest, offered, schedule
from modelfleet.simulate.run import follow
from tests.unit.simulate.given import a_world, arrivals

pytestmark = pytest.mark.long

DEMAND = np.array([1.0, 0, 0, 0, 2])


def test_offered_load_example():
    assert offered(arrivals(3, work=4, until=10), 5.0).tolist() == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize(
    ("startup_steps", "expected"),
    [(2, [1, 0, 2, 2, 2]), (4, [2, 2, 2, 2, 2]), (0, [1, 0, 0, 0, 2])],
)
def test_schedule_examples(startup_steps, expected):
    assert schedule(DEMAND, 0.0, 1, startup_steps).tolist() == expected


def test_margin_and_slots():
    assert schedule(np.array([16.0]), 1.0, 5, 0).tolist() == [4]
    assert schedule(np.array([16.0]), -5.0, 5, 0).tolist() == [0]


def by_level(demand, startup_steps):
    """The decomposition of research 02: each level starts S early and bridges gaps up to S."""
    total = np.zeros(len(demand), dtype=int)
    for level in range(1, int(demand.max()) + 1):
        on = np.flatnonzero(demand >= level)
        alive = np.zeros(len(demand), dtype=int)
        for place in on:
            alive[max(0, place - startup_steps) : place + 1] = 1
        for first, second in itertools.pairwise(on):
            if second - first - 1 <= startup_steps:
                alive[first : second + 1] = 1
        total += alive
    return total.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_highest_demand_of_the_next_s_is_the_decomposition_by_level(seed):
    demand = np.random.default_rng(seed).integers(0, 5, 60).astype(float)
    assert schedule(demand, 0.0, 1, 4).tolist() == by_level(demand, 4)


def test_replicas_are_ready_when_needed():
    plan = Foresight(np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 0]), 5.0)
    world = follow(a_world(40.5, until=50), plan.wanted, plan.step_seconds)
    assert (world.result().violations, world.result().billed_seconds) == (0, 15)


def test_cheapest_is_the_smallest_that_keeps():
    assert cheapest(lambda beta: beta >= 0.4) == 0.4
    assert cheapest(lambda _: False) == BETAS[-1]
    assert cheapest(lambda _: True) == BETAS[0]
