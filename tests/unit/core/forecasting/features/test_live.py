"""What is kept up to date bin by bin equals what a whole history gives."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import DAY_BINS, SHIPPED
from modelfleet.core.forecasting.features.live import LiveFeatures
from modelfleet.core.forecasting.features.whole import box_bins, features, smoothing
from modelfleet.core.forecasting.model_figures import ModelFigures

SERVICES = (ModelFigures(120, 5, 8, 4), ModelFigures(30, 12, 2, 0.5))


def arrivals(bins: int, seed: int = 1) -> np.ndarray:
    """A daily season with bursts."""
    rng = np.random.default_rng(seed)
    level = 20 + 15 * np.sin(np.arange(bins) * 2 * np.pi / DAY_BINS)
    return rng.poisson(level * np.where(rng.random(bins) < 0.01, 5, 1)).astype(np.float32)


def run(present: LiveFeatures, columns: np.ndarray) -> np.ndarray:
    """Push all bins; features of the last moments, shape (100, n, 20)."""
    per_bin = np.array([s.service_seconds / 5 for s in SERVICES])
    weight = np.array([smoothing(s.service_seconds) for s in SERVICES])
    box = np.array([box_bins(s.wait_seconds) for s in SERVICES])
    ahead = np.array([s.startup_seconds for s in SERVICES])
    idle = np.array([0.25 * s.slots for s in SERVICES], dtype=np.float32)
    found = []
    for index, counts in enumerate(columns):
        present.push(counts, per_bin, weight, box, ahead)
        if index >= len(columns) - 100:
            found.append(present.features(idle)[0])
    return np.array(found)


@pytest.mark.parametrize("bins", [100, 5_000, 2 * DAY_BINS + 333])
def test_bin_by_bin_equals_the_whole_history(bins):
    counts = arrivals(bins)
    online = run(LiveFeatures(2, SHIPPED), np.stack((counts, counts), axis=1))
    for row, service in enumerate(SERVICES):
        batch = features(counts, service, SHIPPED)[0][-100:]
        assert np.abs(online[:, row] - batch).max() < 5e-3


def test_cleared_row_is_as_new():
    used = LiveFeatures(2, SHIPPED)
    run(used, np.stack((arrivals(3_000), arrivals(3_000)), axis=1))
    used.clear(0)
    again = run(used, np.stack((arrivals(144, seed=2),) * 2, axis=1))
    fresh = features(arrivals(144, seed=2), SERVICES[0], SHIPPED)[0][-100:]
    assert np.abs(again[:, 0] - fresh).max() < 5e-3


def test_more_rows_keep_the_old_ones():
    present = LiveFeatures(2, SHIPPED)
    counts = arrivals(2_000)
    run(present, np.stack((counts[:1_000],) * 2, axis=1))
    before = present.highest_day().copy()
    present.grow(5)
    assert present.highest_day()[:2] == pytest.approx(before)
    assert not present.highest_day()[2:].any()


def test_sustained_example():
    present = LiveFeatures(1, SHIPPED)
    found = []
    for number in range(60):
        counts = np.array([10.0 if number < 30 else 100.0])
        present.push(counts, np.ones(1), np.ones(1), np.array([1]), np.array([60.0]))
        found.append(float(present.sustained(np.array([12]))[0]))
    assert found[10] == 0, "not a minute old"
    assert found[29] == pytest.approx(10)
    assert found[35] == pytest.approx((6 * 10 + 6 * 100) / 12), "half a minute of the new level"
    assert found[42] == pytest.approx(100)
