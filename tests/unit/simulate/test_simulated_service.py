"""Figures of a service and of batching replicas."""

import pytest

from modelfleet.simulate.simulated_service import Batch, SimulatedService, batch_service

BATCH = Batch(prefill_seconds=0.5, tokens=100, alpha_seconds=0.02, beta_seconds=0.001)


def test_batch_example():
    assert BATCH.request_seconds(10) == pytest.approx(3.5)
    assert BATCH.throughput(10) == pytest.approx(10 / 3.5)


def test_batch_service_is_described_by_its_full_replica():
    assert batch_service(BATCH, 60, 2, slots=10).service_seconds == pytest.approx(3.5)


def test_capacity_is_slots_over_service_time():
    assert SimulatedService(120, 5, 8, 6).capacity_per_second() == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("startup_seconds", -1),
        ("slots", 0),
        ("service_seconds", 0),
        ("drift", 1),
        ("wait_seconds", -1),
    ],
)
def test_impossible_figures_are_named(field, value):
    figures = {"startup_seconds": 1, "wait_seconds": 1, "slots": 1, "service_seconds": 1}
    with pytest.raises(ValueError, match=field):
        SimulatedService(**{**figures, field: value})
