"""KubeAI by hand; one replica holds eight requests."""

from modelfleet.simulate.baselines.kubeai import KubeAI
from modelfleet.simulate.simulated_service import SimulatedService
from tests.unit.simulate.given import seen

SERVICE = SimulatedService(60, 5, 8, 4)


def test_mean_of_ten_minutes_begins_with_zeros():
    kubeai = KubeAI(SERVICE, 1.0, 30, 0)
    wanted = [kubeai.decide(seen(10 * n, busy=16, ready=1)) for n in range(60)]
    assert wanted[0] == 1
    assert wanted[29] == 1
    assert wanted[30] == 2
    assert wanted[59] == 2


def test_down_at_the_third_lower_proposal():
    kubeai = KubeAI(SERVICE, 1.0, 30, 0)
    for n in range(60):
        kubeai.decide(seen(10 * n, busy=16, ready=2))
    assert [kubeai.decide(seen(600 + 10 * n, ready=3)) for n in range(3)] == [3, 3, 2]


def test_queue_counts_and_least_is_kept():
    assert KubeAI(SERVICE, 1.0, 30, 0).decide(seen(waiting=960, ready=0)) == 2
    assert KubeAI(SERVICE, 1.0, 30, 1).decide(seen()) == 1
