"""Quantile regression: coverage, edges and its prior."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import SHIPPED, TAUS
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.quantiles.regression import (
    Coefficients,
    at_risk,
    fit,
    predict,
    refit,
    rows,
    uninformed,
)

SERVICE = ModelFigures(60, 5, 8, 2)


def noisy(count: int = 8_000) -> tuple[np.ndarray, np.ndarray]:
    """Features with an intercept, a target with exponential noise."""
    rng = np.random.default_rng(3)
    x = np.concatenate((np.ones((count, 1)), rng.normal(size=(count, 19))), axis=1)
    return x.astype(np.float32), (0.5 * x[:, 1] + rng.exponential(0.3, count)).astype(np.float32)


def test_quantiles_cover_what_they_say():
    x, y = noisy()
    found = fit(x[:4_000], y[:4_000], uninformed().start, steps=400)
    covered = (y[4_000:, None] <= x[4_000:] @ found).mean(axis=0)
    assert np.abs(covered - TAUS).max() < 0.03


def test_few_rows_leave_the_prior():
    x, y = noisy(30)
    prior = uninformed().start
    assert fit(x, y, prior) is prior


def test_uninformed_example():
    x = np.zeros((1, 20), dtype=np.float32)
    x[0, 0] = 1.0
    found = predict(x, uninformed().stacked()[None])
    assert found.shape == (2, 1, 12)
    assert found[0, 0, 9] == pytest.approx(1.05, abs=0.01), "the 99 % quantile"


def test_predictions_never_cross():
    rng = np.random.default_rng(1)
    wild = rng.normal(size=(3, 2, 20, 12)).astype(np.float32)
    found = predict(rng.normal(size=(3, 20)).astype(np.float32), wild)
    assert (np.diff(found, axis=-1) >= 0).all()


def test_between_two_levels():
    levels = -np.log1p(-TAUS)
    assert at_risk(levels, np.array([0.0316], dtype=np.float32))[0] == pytest.approx(
        3.454, abs=0.01
    )
    assert at_risk(levels, np.array([0.002], dtype=np.float32))[0] == pytest.approx(
        levels[-1], rel=1e-4
    )


def test_rows_are_bounded_and_see_no_future():
    counts = np.random.default_rng(2).poisson(10, 20_000).astype(np.float32)
    x, start, keep = rows(counts, SERVICE, SHIPPED)
    assert x.shape == (SHIPPED.most_rows, 20)
    assert np.isfinite(x).all()
    assert np.isfinite(start).all()
    assert np.isfinite(keep).all()


def test_refit_learns_that_calm_traffic_is_calm():
    counts = np.full(3_000, 20.0, dtype=np.float32)
    found = refit(counts, SERVICE, uninformed(), None, SHIPPED)
    x = rows(counts, SERVICE, SHIPPED)[0][-1:]
    wide = predict(x, uninformed().stacked()[None])[0, 0, 9]
    calm = predict(x, Coefficients(found.start, found.keep).stacked()[None])[0, 0, 9]
    assert calm < 0.4 * wide
