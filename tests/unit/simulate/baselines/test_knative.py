"""Knative's autoscaler by hand; one pod holds ten requests, target 7."""

import pytest

from modelfleet.simulate.baselines.knative import Knative, WindowMean, bounded
from modelfleet.simulate.simulated_service import SimulatedService
from tests.unit.simulate.given import seen

SERVICE = SimulatedService(60, 5, 10, 4)


def look(now, concurrency, ready, **more):
    return seen(now, 2.0, busy=concurrency, ready=ready, **more)


def test_window_is_as_long_as_what_was_seen():
    mean = WindowMean(6)
    assert [mean.push(v) for v in (3, 6, 9, 12)] == [3, 4.5, 6, 9]


@pytest.mark.parametrize(
    ("concurrency", "ready", "expected"), [(30, 2, 5), (30, 12, 6), (0, 5, 2), (0, 1, 0)]
)
def test_rates_of_change(concurrency, ready, expected):
    assert bounded(concurrency, 7, ready) == expected


def test_stable_mean_decides():
    knative = Knative(SERVICE, 0.7, 0.0, 0)
    wanted = [knative.decide(look(2 * n, 30, 4)) for n in range(40)]
    assert set(wanted) == {5}


def test_panic_rises_at_once_and_does_not_fall_for_a_minute():
    knative = Knative(SERVICE, 0.7, 0.0, 0)
    for n in range(30):
        knative.decide(look(2 * n, 7, 2))
    wanted = [knative.decide(look(60 + 2 * n, 49, 2)) for n in range(3)]
    assert wanted[-1] == 7
    after = [knative.decide(look(66 + 2 * n, 7, 7)) for n in range(40)]
    assert after[20] == 7
    assert after[-1] == 3


def test_scale_down_delay_keeps_the_highest():
    knative = Knative(SERVICE, 0.7, 300.0, 0)
    knative.decide(look(0, 30, 5))
    wanted = [knative.decide(look(2 * n, 7, 5)) for n in range(1, 200)]
    assert wanted[140] == 5
    assert wanted[-1] == 2


def test_last_pod_goes_after_window_and_grace():
    knative = Knative(SERVICE, 0.7, 0.0, 0)
    knative.decide(look(0, 1, 1))
    wanted = [knative.decide(look(2 * n, 0, 1)) for n in range(1, 60)]
    assert wanted.index(0) == pytest.approx(45, abs=1)


def test_least_is_kept():
    knative = Knative(SERVICE, 0.7, 0.0, 1)
    assert [knative.decide(look(2 * n, 0, 1)) for n in range(100)][-1] == 1
