"""Seconds of work that a request needs."""

import pytest

from modelfleet.core.scaling.service_time import ServiceTime
from modelfleet.facts.scaling import Bucket
from modelfleet.facts.traffic import AnswerTimes


def bucket(answers: int, seconds_each: float, length: float = 1.0) -> Bucket:
    return Bucket(0.0, length, answers, answers, answers * seconds_each, 0, 0)


def after(work: ServiceTime, one: Bucket, slots: float, times: int = 1) -> ServiceTime:
    for _ in range(times):
        work = work.after(one, slots)
    return work


def test_unknown_before_the_first_answer():
    assert ServiceTime().after(bucket(0, 0.0), 4).service_seconds is None


def test_overload_example():
    found = ServiceTime().after(bucket(100, 2.0, length=10.0), 4).service_seconds
    assert found == pytest.approx(0.4)


def test_idle_replicas_do_not_change_it():
    assert after(ServiceTime(), bucket(10, 0.05), 100, 50).service_seconds == pytest.approx(0.05)


def test_long_requests_that_end_in_one_short_bucket():
    work = after(ServiceTime(), bucket(0, 0.0), slots=1, times=20)
    assert work.after(bucket(1, 20.0), 1).service_seconds == pytest.approx(20.0)


def test_slower_model_is_noticed_within_its_memory():
    work = after(ServiceTime(), bucket(10, 0.1), 10, 600)
    slower = after(work, bucket(10, 0.2), 10, 1_200).service_seconds
    assert slower == pytest.approx(0.2, rel=0.1)


def test_silence_forgets_nothing():
    work = after(ServiceTime(), bucket(10, 0.1), 10, 100)
    assert after(work, bucket(0, 0.0), 10, 10_000).service_seconds == work.service_seconds


def test_doubted_example():
    slow = after(ServiceTime(), bucket(50, 0.08), 4, 20)
    assert slow.doubted().service_seconds == pytest.approx(0.08)
    found = slow.doubted().after(bucket(50, 0.008), 4).service_seconds
    assert found == pytest.approx(0.0094, rel=0.01)


def test_doubt_adds_nothing_to_what_is_hardly_known():
    once = ServiceTime().after(bucket(1, 20.0), 100)
    assert (ServiceTime().doubted(), once.doubted()) == (ServiceTime(), once)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (AnswerTimes(), (0.08, 1.0)),
        (AnswerTimes(24.0, 3000.0), (0.008, 3000.0)),
        (AnswerTimes(15_000.0, 3000.0), (0.08, 1.0)),
    ],
)
def test_lower_of_what_was_seen_and_what_is_told(told, expected):
    slow = after(ServiceTime(), bucket(50, 0.08), 4, 20)
    found = slow.corrected(told)
    assert (found.service_seconds, found.answers) == pytest.approx(expected)


def test_what_is_told_waits_for_an_answer():
    assert ServiceTime().corrected(AnswerTimes(24.0, 3000.0)).service_seconds is None
