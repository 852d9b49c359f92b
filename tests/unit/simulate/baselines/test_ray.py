"""Ray Serve by hand; eight ongoing requests for each replica."""

from modelfleet.simulate.baselines.ray import Ray
from tests.unit.simulate.given import seen


def look(now, ongoing, ready):
    return seen(now, 10.0, busy=ongoing, ready=ready)


def test_up_after_thirty_seconds_of_the_same_wish():
    ray = Ray(8, 600, 0)
    assert [ray.decide(look(10 * n, 40, 2)) for n in range(4)] == [2, 2, 2, 5]


def test_it_counts_anew_after_acting_and_after_equality():
    ray = Ray(8, 600, 0)
    wanted = [ray.decide(look(10 * n, 40, 2)) for n in range(8)]
    assert wanted == [2, 2, 2, 5, 2, 2, 2, 5]
    other = Ray(8, 600, 0)
    loads = [16, 40, 0, 0, 16, 40, 40]
    assert [other.decide(look(10 * n, load, 2)) for n, load in enumerate(loads)] == [2] * 7


def test_down_after_ten_minutes():
    ray = Ray(8, 600, 0)
    wanted = [ray.decide(look(10 * n, 8, 3)) for n in range(62)]
    assert wanted[59] == 3
    assert wanted[60] == 1


def test_mean_of_the_last_three_pushes():
    ray = Ray(8, 600, 0)
    for n, load in enumerate((0, 0, 48, 48)):
        ray.decide(look(10 * n, load, 2))
    assert ray.decide(look(50, 48, 2)) == 2
    assert ray.decide(look(60, 48, 2)) == 6


def test_from_zero_without_delay():
    ray = Ray(2, 600, 0)
    assert ray.decide(seen(0, 10.0, waiting=1)) == 1
    assert Ray(2, 600, 0).decide(seen(0, 10.0)) == 0
