"""KEDA by hand."""

import pytest

from modelfleet.simulate.baselines.keda import PEER, Keda
from modelfleet.simulate.simulated_service import SimulatedService
from tests.unit.simulate.given import seen

SERVICE = SimulatedService(60, 5, 8, 4)
"""A replica answers 2/s."""


def test_rate_over_threshold():
    keda = Keda(SERVICE, 0.6, 300, 0)
    assert keda.decide(seen(15, arrivals=180, ready=8)) == 10


def test_rate_is_that_of_the_last_minute():
    keda = Keda(SERVICE, 1.0, 300, 0)
    for tick in range(3):
        keda.decide(seen(15 * tick, arrivals=0, ready=1))
    assert keda.decide(seen(45, arrivals=240, ready=1)) == 2
    assert keda.decide(seen(60, arrivals=240, ready=2)) == 4


@pytest.mark.parametrize(("least", "expected"), [(0, 0), (1, 1)])
def test_to_zero_after_the_cooldown(least, expected):
    keda = Keda(SERVICE, 0.6, 60, least)
    wanted = [keda.decide(seen(0, arrivals=15, ready=1))]
    wanted += [keda.decide(seen(15 * n, ready=1)) for n in range(1, 30)]
    assert set(wanted[:21]) == {1}
    assert min(wanted) == expected


def test_from_zero_at_the_next_poll_only():
    keda = Keda(SERVICE, 0.6, 300, 0)
    assert keda.decide(seen(0)) == 0
    assert keda.decide(seen(15, arrivals=30)) == 0
    assert keda.decide(seen(30, arrivals=30)) >= 1


def test_grid_has_its_size():
    assert len(PEER.grid(SERVICE, 1)) == PEER.size == 20
