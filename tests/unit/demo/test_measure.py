"""The traffic of the story fits the machine, and the promise fits the traffic."""

import pytest

from tests.demo import specs
from tests.demo.cluster import DemoError
from tests.demo.measure import Found, Rates, plan_for
from tests.demo.measure import choose as chosen


def choose(machine, generator=2000, start_seconds=3, cores=2) -> Rates:
    return chosen(Found(machine, generator, 1500 / machine, start_seconds, cores))


def test_a_fast_machine_gets_the_whole_traffic():
    rates = choose(machine=1000)
    assert (rates.low, rates.high, rates.ramp_seconds) == (5, 100, 40)
    assert rates.objective_milliseconds == 100
    assert rates.one < rates.high < specs.MAX_REPLICAS * rates.one, "more than one, fewer than all"


@pytest.mark.parametrize("machine", [60, 90, 200, 400, 5000])
def test_whatever_the_machine_one_replica_is_too_few_and_a_quarter_of_it_is_enough(machine):
    rates = choose(machine)
    assert rates.one < rates.high <= machine / 4
    assert rates.objective_milliseconds >= 4.9 * 1000 / rates.one, "waits fit into the promise"


def test_a_generator_that_is_slower_than_the_rest_bounds_the_traffic():
    assert choose(machine=1000, generator=200).high == 70


def test_half_the_cores_bear_less_than_half_the_traffic():
    """The control plane and pods that start need as much as ever."""
    whole, half = choose(machine=360), choose(machine=180, cores=1)
    assert half.high < whole.high / 2


def test_slow_starts_are_given_a_longer_ramp_up_to_a_bound():
    assert choose(400, start_seconds=6).ramp_seconds == 60
    assert choose(400, start_seconds=60).ramp_seconds == 90


def test_a_machine_that_can_do_next_to_nothing_is_told_so_with_the_numbers():
    with pytest.raises(DemoError, match="can do 20 requests/s"):
        choose(machine=20)


def test_the_yardstick_is_asked_under_its_own_name():
    plan = {"url": "http://127.0.0.1:8080/v2/models/digits/infer", "host": "x", "questions": "q"}
    assert plan_for(plan, "team-a") == {
        "url": "http://127.0.0.1:8080/v2/models/yardstick/infer",
        "host": "yardstick.team-a.localhost",
        "questions": "q",
        "allow": {"yardstick-v1": "one"},
    }
