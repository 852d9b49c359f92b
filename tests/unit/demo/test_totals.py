"""Adding up the gateways' counters over restarts and forgotten versions."""

from tests.demo.totals import Increase, parse

TEXT = """\
# HELP modelfleet_gateway_requests_total Completed requests by class of the answer.
# TYPE modelfleet_gateway_requests_total counter
modelfleet_gateway_requests_total{class="2xx",model="digits",namespace="a",version="v1"} 12.0
modelfleet_gateway_requests_total{class="5xx",model="digits",namespace="a",version="v1"} 1.0
modelfleet_gateway_requests_total{class="2xx",model="digits",namespace="b",version="v1"} 7.0
modelfleet_gateway_arrivals_total{model="digits",namespace="a",version="v1"} 99.0
"""


def test_only_the_models_completions_are_read():
    assert parse("g1", TEXT, "a", "digits") == {
        ("g1", "v1", "2xx"): 12.0,
        ("g1", "v1", "5xx"): 1.0,
    }


def sums(*samples):
    increase = Increase()
    for sample in samples:
        increase.add({(name, "v1", "2xx"): value for name, value in sample.items()})
    return increase.requests


def test_what_was_there_before_does_not_count():
    assert sums({"g1": 100}, {"g1": 103}) == 3


def test_a_gateway_that_began_anew_counts_from_zero():
    assert sums({"g1": 100}, {"g1": 4}, {"g1": 6}) == 6


def test_a_gateway_or_version_that_came_later_counts_from_zero():
    assert sums({}, {"g1": 5}, {"g1": 5, "g2": 2}) == 7


def test_a_series_that_went_and_came_again_counts_from_zero():
    assert sums({"g1": 10}, {}, {"g1": 3}) == 3
