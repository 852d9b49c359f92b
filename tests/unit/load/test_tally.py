"""Totals: what is sent is ok or failed in the end, and unknown is not zero."""

import pytest

from tests.load.tally import MAX_EXCERPTS, Outcome, Tally, milliseconds, percentile


def outcome(reason="", version="v1", latency=0.01):
    return Outcome(1.0, latency, version, reason, "detail")


def test_sums():
    tally = Tally()
    for each in (outcome(), outcome(), outcome("status 503", ""), outcome("wrong labels")):
        tally.began(0.001)
        tally.ended(each)
    found = tally.summary()
    assert (found["sent"], found["ok"], found["failed"]) == (4, 2, 2)
    assert found["versions"] == {"v1": 3}
    assert found["reasons"] == {"status 503": 1, "wrong labels": 1}


def test_failures_do_not_count_into_latency():
    tally = Tally()
    tally.ended(outcome(latency=0.02))
    tally.ended(outcome("status 503", latency=0.0))
    assert tally.summary()["latency_ms"]["p50"] == 20.0


def test_excerpts_are_bounded_but_failures_are_all_counted():
    tally = Tally()
    for _ in range(MAX_EXCERPTS + 5):
        tally.ended(outcome("broken", ""))
    assert tally.failed == MAX_EXCERPTS + 5
    assert len(tally.excerpts) == MAX_EXCERPTS


@pytest.mark.parametrize(("percent", "expected"), [(50, 10), (95, 19), (99, 20), (0, 1)])
def test_percentile_of_one_to_twenty(percent, expected):
    assert percentile([float(n) for n in range(1, 21)], percent) == expected


def test_no_values_give_no_percentiles():
    assert milliseconds([]) == {}


def test_correct_answers_within_the_objective_are_counted_apart():
    tally = Tally(objective_seconds=0.1)
    for each in (outcome(latency=0.1), outcome(latency=0.11), outcome("broken", latency=0.01)):
        tally.ended(each)
    assert tally.summary()["within_objective"] == 1


def test_without_an_objective_nothing_is_said_of_it():
    assert Tally().summary()["within_objective"] is None
