"""Counts as bytes."""

import numpy as np
import pytest

from modelfleet.core.forecasting.features.arrivals_history import (
    ArrivalHistory,
    decode_counts,
    encode_counts,
)


def filled(days: int, counts: np.ndarray) -> ArrivalHistory:
    history = ArrivalHistory(days)
    for code in encode_counts(counts).tolist():
        history.push(code)
    return history


def test_small_counts_are_exact_and_large_ones_near():
    counts = np.array([0, 1, 17, 63, 64, 100, 5_000, 400_000], dtype=np.float32)
    found = decode_counts(encode_counts(counts))
    assert (found[:4] == counts[:4]).all()
    assert found == pytest.approx(counts, rel=0.026)


def test_hours_come_back_in_order_and_idle_ones_cost_nothing():
    counts = np.concatenate((np.arange(720) % 50, np.zeros(720), np.full(10, 3))).astype(np.float32)
    history = filled(1, counts)
    assert len(history) == len(counts)
    assert (history.counts() == counts).all()
    assert history.stored_bytes() <= 2 * 720


def test_only_the_newest_days_are_kept():
    history = filled(1, np.ones(30 * 720, dtype=np.float32))
    assert len(history) == 24 * 720
