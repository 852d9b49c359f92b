"""Requests drawn from traces."""

import numpy as np
import pytest

from modelfleet.simulate.arrivals import draw_arrivals, lognormal
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import Trace

SERVICE = SimulatedService(60, 2, 4, 1.75)
WHOLE = Trace("whole", 20, 5.0, np.array([3.0, 0, 40, 7]))


def counts(trace, seed):
    return np.histogram(draw_arrivals(trace, SERVICE, seed).moments, np.arange(0, 21, 5))[
        0
    ].tolist()


def test_whole_counts_are_kept():
    assert counts(WHOLE, 1) == counts(WHOLE, 2) == [3, 0, 40, 7]


def test_fractional_counts_are_means_of_each_seed():
    trace = Trace("mean", 20, 5.0, np.array([30.5, 0, 400.5, 7]))
    assert counts(trace, 1) != counts(trace, 2)
    assert counts(trace, 1)[1] == 0


def test_multiplied_rates_are_drawn_anew():
    assert counts(WHOLE.times(5), 1) != counts(WHOLE.times(5), 2)
    totals = [len(draw_arrivals(WHOLE.times(5), SERVICE, seed).moments) for seed in range(200)]
    assert np.mean(totals) == pytest.approx(250, rel=0.02)


def test_a_seed_gives_the_same_requests_again():
    first, second = draw_arrivals(WHOLE, SERVICE, 3), draw_arrivals(WHOLE, SERVICE, 3)
    assert (first.moments == second.moments).all()
    assert (first.work == second.work).all()


def test_moments_are_sorted_and_inside():
    moments = draw_arrivals(WHOLE, SERVICE, 1).moments
    assert (np.diff(moments) >= 0).all()
    assert 0 <= moments.min() <= moments.max() < 20


def test_lognormal_has_mean_one_and_its_cv():
    values = lognormal(np.random.default_rng(1), 400_000, 0.7)
    assert values.mean() == pytest.approx(1, abs=0.01)
    assert values.std() == pytest.approx(0.7, abs=0.02)


def test_startups_without_spread_are_constant():
    assert set(draw_arrivals(WHOLE, SERVICE, 1).startups.tolist()) == {60.0}


def test_service_time_drifts_over_the_day():
    trace = Trace("day", 86_400, 3600.0, np.full(24, 2000.0))
    drawn = draw_arrivals(trace, SimulatedService(60, 2, 4, 2.0, service_cv=0, drift=0.5), 1)
    at_six = drawn.work[np.abs(drawn.moments - 21_600) < 600].mean()
    at_eighteen = drawn.work[np.abs(drawn.moments - 64_800) < 600].mean()
    assert (at_six, at_eighteen) == pytest.approx((3.0, 1.0), abs=0.02)
