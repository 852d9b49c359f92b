"""Always 70 % of the present demand."""

from modelfleet.simulate.baselines.present import PresentLoad
from modelfleet.simulate.simulated_service import SimulatedService
from tests.unit.simulate.given import seen

SERVICE = SimulatedService(60, 5, 8, 4)


def test_demand_over_seventy_percent():
    assert PresentLoad(SERVICE, 0).decide(seen(5, 5.0, arrivals=60, ready=3)) == 9


def test_at_once_in_both_directions():
    present = PresentLoad(SERVICE, 1)
    present.decide(seen(5, 5.0, arrivals=60, ready=3))
    assert [present.decide(seen(5 * n, 5.0, ready=9)) for n in range(2, 8)][-1] == 1
