"""Candidates: levels, floors and caps."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import RISKS, SHIPPED, TAUS
from modelfleet.core.forecasting.dials.dials import Dials

BANK = Dials(SHIPPED)


def quantiles(start: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    return np.stack((start, start if keep is None else keep))[:, None, :].astype(np.float32)


def levels(start: np.ndarray, keep: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    found = BANK.levels(quantiles(start, keep), np.log(np.array([8.0])), np.array([2.0]))
    return found[0][0], found[1][0]


def test_level_example():
    start, _ = levels(np.full(12, 0.7))
    assert start == pytest.approx(np.full(BANK.size, 14.1), abs=0.02)


def test_lower_risk_never_asks_for_less():
    start, _ = levels(-np.log1p(-TAUS) * 0.3)
    risks = start[: len(RISKS)]
    assert (np.diff(risks) >= 0).all()


def test_keeps_at_least_what_it_would_start():
    start, keep = levels(np.full(12, 0.7), np.full(12, 0.2))
    assert (keep >= start).all()


def test_floor_and_cap():
    level = np.zeros((1, BANK.size), dtype=np.float32)
    found = BANK.bounded(level, np.array([10.0]), np.zeros(1), np.array([6.0]))[0]
    assert found[0] == 5.0
    assert found[len(RISKS)] == pytest.approx(1.05 * 6), "0.8 * 10, capped"
    far = BANK.bounded(level + 99, np.zeros(1), np.zeros(1), np.array([6.0]))[0]
    assert far == pytest.approx(1.05 * 6)


def test_never_negative():
    start, keep = levels(np.full(12, -9.0))
    assert (start >= 0).all()
    assert (keep >= 0).all()
