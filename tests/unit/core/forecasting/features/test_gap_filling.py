"""Bins that nobody watched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.core.forecasting.constants import DAY_BINS, HOUR_BINS
from modelfleet.core.forecasting.features.gap_filling import filled, spread

NAN = float("nan")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([4, 4, NAN, NAN, NAN, 4], [4, 4, 4, 4, 4, 4]),
        ([4, 4, NAN, NAN], [4, 4, 4, 4]),
        ([NAN, NAN, 3], [3, 3, 3]),
        ([NAN, NAN], [0, 0]),
        ([0, 0, NAN, 0], [0, 0, 0, 0]),
        ([1, 2, 3], [1, 2, 3]),
    ],
)
def test_examples(counts, expected):
    assert filled(np.array(counts, dtype=np.float32)).tolist() == expected


def test_sparse_traffic_stays_sparse_and_does_not_end():
    assert spread(np.full(8, 0.25)).tolist() == [0, 1, 0, 0, 0, 1, 0, 0]


def test_burst_before_a_gap_is_not_repeated():
    counts = np.full(1000, 10, dtype=np.float32)
    counts[900] = 5_000
    found = filled(np.concatenate((counts, np.full(300, NAN))))[1000:]
    assert found.max() < 30


def test_long_gap_follows_the_day_before():
    day = np.where(np.arange(DAY_BINS) < DAY_BINS // 2, 100, 10).astype(np.float32)
    counts = np.concatenate((day, day[: HOUR_BINS * 10], np.full(HOUR_BINS * 6, NAN)))
    found = filled(counts)[DAY_BINS + HOUR_BINS * 10 :]
    assert found[: HOUR_BINS + 200].mean() == pytest.approx(100, rel=0.02)
    assert found[HOUR_BINS * 3 :].mean() == pytest.approx(10, rel=0.02)


@given(
    st.lists(st.integers(0, 1000) | st.none(), min_size=1, max_size=60),
    st.integers(0, 50),
)
def test_what_was_seen_stays_and_the_rest_lies_between(values, more):
    counts = np.array([NAN if v is None else v for v in values] + [NAN] * more, dtype=np.float32)
    found, known = filled(counts), ~np.isnan(counts)
    assert (found[known] == counts[known]).all()
    assert not np.isnan(found).any()
    low, high = (counts[known].min(), counts[known].max()) if known.any() else (0, 0)
    assert (found >= np.floor(low)).all()
    assert (found <= np.ceil(high)).all()
