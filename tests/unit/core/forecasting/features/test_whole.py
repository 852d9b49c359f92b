"""Worked examples of demand, windows, profile and targets."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import DAY_BINS, SHIPPED
from modelfleet.core.forecasting.features import whole
from modelfleet.core.forecasting.model_figures import ModelFigures

SHORT = ModelFigures(startup_seconds=10, wait_seconds=5, slots=1, service_seconds=0.5)


def test_demand_example():
    assert whole.demand(np.full(3, 10.0), SHORT) == pytest.approx(np.full(3, 1.0))


def test_smoothing_example():
    assert whole.smoothing(5.0) == pytest.approx(0.632, abs=1e-3)
    assert whole.smoothing(0.1) == 1.0


def test_long_requests_stay_for_their_service_time():
    long = ModelFigures(10, 5, 1, service_seconds=20)
    load = whole.demand(np.array([10.0, 0, 0, 0, 0]), long)
    assert load[0] == pytest.approx(40 * whole.smoothing(20))
    assert (np.diff(load) < 0).all()
    assert load[4] / load[0] == pytest.approx(np.exp(-1), rel=1e-3), "after 20 s"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_trailing_maximum_is_that_of_the_window(count):
    values = np.random.default_rng(count).random(50)
    expected = [values[max(0, i - count + 1) : i + 1].max() for i in range(50)]
    assert whole.trailing_max(values, count) == pytest.approx(expected)


def test_trailing_mean_of_a_short_history():
    assert whole.trailing_mean(np.array([2.0, 4.0, 6.0]), 2) == pytest.approx([2, 3, 5])


def test_envelope_covers_whole_blocks_and_the_present_one():
    values = np.zeros(240)
    values[3] = 7.0
    found = whole.envelope(values, 5)
    assert found[5] == found[24 * 5 + 23] == 7.0
    assert found[24 * 6] == 0.0


def test_quantiles_of_days_example():
    table = np.array([[1.0, np.nan], [3.0, np.nan]])
    low, high = whole.quantiles_of_days(table)
    assert (low[0], high[0]) == pytest.approx((2.0, 2.7))
    assert (low[1], high[1]) == (0.0, 0.0)


def test_profile_knows_the_burst_of_yesterday():
    load = np.full(2 * DAY_BINS, 4.0)
    burst = DAY_BINS // 2
    load[burst : burst + 24] = 40.0
    low, _, known = whole.profile(load, startup_seconds=300)
    before_today = DAY_BINS + burst - 60
    assert known[before_today]
    assert low[before_today] == pytest.approx(40.0, rel=0.1)
    assert low[DAY_BINS + burst - 400] == pytest.approx(4.0, rel=0.1)
    assert not known[: DAY_BINS // 2].any()


def test_targets_are_the_highest_demand_of_their_windows():
    load = np.arange(20.0)
    base = np.zeros(20)
    start, keep = whole.fit_targets(load, base, SHORT, idle=1.0)
    assert start[0] == pytest.approx(np.log(5 + 1)), "bins 2 to 5 from now"
    assert keep[0] == pytest.approx(np.log(3 + 1)), "bins 1 to 3 from now"
    assert np.isnan(start[-5:]).all()


def test_size_of_a_model_does_not_matter():
    counts = np.random.default_rng(1).poisson(1000, 3_000).astype(np.float32)
    small, _ = whole.features(counts, ModelFigures(60, 5, 8, 1), SHIPPED)
    large, _ = whole.features(10 * counts, ModelFigures(60, 5, 80, 1), SHIPPED)
    levels = [i for i in range(20) if i != 15]
    assert np.abs(small[:, levels] - large[:, levels]).max() < 1e-4


def test_squash_example():
    found = whole.squashed(np.log(np.array([2.0, 10.0, 0.5])))
    assert found == pytest.approx([0.62, 1.66, 0.0], abs=0.01)
