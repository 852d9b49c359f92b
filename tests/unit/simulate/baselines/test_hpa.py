"""Kubernetes HPA by hand."""

import pytest

from modelfleet.simulate.baselines.hpa import Behavior, Hpa, average_value, per_pod
from modelfleet.simulate.simulated_service import SimulatedService
from tests.unit.simulate.given import seen

SERVICE = SimulatedService(120, 5, 8, 6)


@pytest.mark.parametrize(
    ("ratio", "ready", "unready", "expected"),
    [
        (1.5, 4, 0, 6),
        (1.5, 4, 4, 8),
        (3.0, 4, 2, 12),
        (0.5, 4, 2, 2),
        (1.09, 10, 0, 10),
        (0.91, 10, 0, 10),
        (0.89, 10, 0, 9),
        (1.6, 4, 2, 6),
        (5.0, 0, 3, 3),
    ],
)
def test_per_pod_metric(ratio, ready, unready, expected):
    assert per_pod(ratio, ready, unready) == expected


@pytest.mark.parametrize(
    ("total", "replicas", "expected"), [(50, 4, 5), (50, 5, 5), (53, 5, 5), (56, 5, 6), (50, 0, 5)]
)
def test_external_average_value(total, replicas, expected):
    assert average_value(total, 10, replicas) == expected


def test_rise_is_at_most_four_or_double():
    assert Behavior(300, 1).settle(0, 4, 20) == 8
    assert Behavior(300, 1).settle(0, 2, 20) == 6
    assert Behavior(300, 1).settle(0, 10, 40) == 20


def test_fall_waits_for_the_highest_of_the_window():
    behavior = Behavior(300, 1)
    behavior.settle(0, 8, 8)
    assert behavior.settle(100, 8, 5) == 8
    assert behavior.settle(290, 8, 2) == 8
    assert behavior.settle(301, 8, 2) == 5
    assert behavior.settle(400, 5, 2) == 2


def test_utilisation_is_capped_at_all_slots():
    look = seen(busy=32, waiting=500, ready=4)
    assert Hpa(SERVICE, 0.5, 300).decide(look) == 8


def test_concurrency_has_the_queue_in_it():
    look = seen(busy=32, waiting=24, ready=4)
    assert Hpa(SERVICE, 1.0, 300, "concurrency").decide(look) == 7
    assert Hpa(SERVICE, 0.5, 300, "concurrency").decide(look) == 8


def test_hpa_never_goes_to_zero():
    hpa = Hpa(SERVICE, 0.5, 0.0, "concurrency")
    assert hpa.decide(seen(ready=1)) == 1
    assert hpa.decide(seen()) == 1
