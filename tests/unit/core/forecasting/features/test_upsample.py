"""Steps become bins with the texture of real traffic; no request is lost or made up."""

import numpy as np

from modelfleet.core.forecasting.features.upsample import drawn, textures
from modelfleet.engine.memory import public_traces


def test_requests_of_a_step_stay_its_own():
    requests = np.array([60.0, np.nan, 0.0, 1.0, 12_000.0])
    found = drawn(requests, textures(public_traces.traces(), 12), seed=1).reshape(5, 12)
    assert np.array_equal(found.sum(axis=1), requests, equal_nan=True)
    assert (np.isnan(found[1])).all()
    assert (found[[0, 2, 3, 4]] == np.rint(found[[0, 2, 3, 4]])).all()


def test_the_same_model_is_drawn_the_same():
    shares = textures(public_traces.traces(), 12)
    requests = np.full(50, 40.0)
    assert (drawn(requests, shares, 7) == drawn(requests, shares, 7)).all()
    assert (drawn(requests, shares, 7) != drawn(requests, shares, 8)).any()


def test_bins_are_as_rough_as_those_of_public_traces():
    trace = public_traces.traces()[0]
    busy = trace[: len(trace) // 12 * 12].reshape(-1, 12)
    busy = busy[(busy.sum(axis=1) > 300)][:2000]
    found = drawn(busy.sum(axis=1), textures([trace], 12), seed=3).reshape(-1, 12)

    def rough(steps: np.ndarray) -> float:
        return float((steps.std(axis=1) / steps.mean(axis=1)).mean())

    assert 0.9 < rough(found) / rough(busy) < 1.4
    even = drawn(busy.sum(axis=1), textures([], 12), seed=3).reshape(-1, 12)
    assert rough(even) < rough(busy)


def test_without_a_trace_every_bin_has_the_same_chance():
    assert (textures([], 6) == 1 / 6).all()
    assert (textures([np.zeros(600, dtype=np.float32)], 6) == 1 / 6).all()
