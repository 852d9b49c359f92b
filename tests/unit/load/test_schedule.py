"""Arithmetic of the schedule: ramps are exact, steering loses and invents nothing."""

import itertools
import random

import pytest

from tests.load.schedule import Arrivals, PlanError, Step, drawer, read_steps


def times(steps, pacing="uniform", seed=1, start=0.0):
    arrivals = Arrivals(read_steps(steps), start, drawer(pacing, seed))
    return list(all_of(arrivals))


def all_of(arrivals):
    while (at := arrivals.next()) is not None:
        yield at
        arrivals.taken()


def test_a_constant_rate_spaces_evenly():
    assert times([[2, 4]]) == pytest.approx([n / 4 for n in range(1, 9)])


def test_a_ramp_sends_as_many_as_the_area_under_it():
    assert len(times([[10, 5, 15]])) == 100


def test_the_fifth_of_a_ramp_from_zero_is_due_at_the_root_of_ten():
    assert times([[10, 0, 10]])[4] == pytest.approx(10**0.5)


def test_a_falling_ramp_to_zero_ends():
    assert len(times([[10, 10, 0]])) == 50


def test_the_area_left_of_a_step_goes_into_the_next():
    assert times([[1.5, 1], [1, 1]]) == pytest.approx([1, 2])


def test_a_step_without_traffic_only_takes_time():
    assert times([[1, 1], [5, 0], [1, 1]]) == pytest.approx([1, 7])


def test_poisson_has_the_rate_and_the_spread_of_poisson():
    found = times([[1000, 50]], "poisson")
    gaps = [b - a for a, b in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert len(found) == pytest.approx(50_000, rel=0.02)
    assert variance**0.5 == pytest.approx(mean, rel=0.03)


def test_the_same_seed_gives_the_same_times():
    assert times([[10, 50]], "poisson", 7) == times([[10, 50]], "poisson", 7)


def test_steering_in_the_middle_keeps_the_part_that_has_grown():
    arrivals = Arrivals(read_steps([[10, 1]]), 0.0, drawer("uniform", 1))
    arrivals.steer(0.5, read_steps([[10, 10]]))
    assert arrivals.next() == pytest.approx(0.55)


def test_steering_to_the_same_rate_changes_nothing():
    seed = random.Random(3)
    expected = times([[20, 7]])
    arrivals = Arrivals(read_steps([[20, 7]]), 0.0, drawer("uniform", 1))
    found = []
    while (at := arrivals.next()) is not None:
        moment = seed.uniform(found[-1] if found else 0.0, at)
        arrivals.steer(moment, read_steps([[20 - moment, 7]]))
        found.append(arrivals.next())
        arrivals.taken()
    assert found == pytest.approx(expected)


def test_steering_over_the_end_of_a_step_counts_what_it_gave():
    arrivals = Arrivals(read_steps([[0.5, 1], [10, 0]]), 0.0, drawer("uniform", 1))
    arrivals.steer(5.0, read_steps([[10, 1]]))
    assert arrivals.next() == pytest.approx(5.5)


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ("fast", "must be a list"),
        ([[1]], r"\[seconds, rate\]"),
        ([[1, "5"]], r"\[seconds, rate\]"),
        ([[0, 5]], "seconds"),
        ([[1, -1]], "rate"),
        ([[1, float("nan")]], "rate"),
    ],
)
def test_a_wrong_step_is_named(steps, named):
    with pytest.raises(PlanError, match=named):
        read_steps(steps)


def test_time_of_is_the_inverse_of_requests_until():
    step = Step(10, 3, 8)
    assert step.time_of(step.requests_until(6.5)) == pytest.approx(6.5)
