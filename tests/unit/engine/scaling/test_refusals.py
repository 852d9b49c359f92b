"""What the gateways refuse is demand, and people are told of it; on a virtual clock."""

from modelfleet.core.scaling.overload import NONE
from modelfleet.facts.traffic import GatewaySample, ModelSample, VersionSample
from tests.doubles.scaled_model import KEY, Fleet


def report(fleet: Fleet, arrivals: int, refused: int) -> None:
    """One second at each gateway: what is not refused is answered in 50 ms."""
    for name in fleet.gateways.alive:
        taken = arrivals - refused
        version = VersionSample(
            arrivals=arrivals,
            completions={"2xx": taken, "5xx": refused},
            service_seconds=taken * 0.05,
            latency={36: taken},
            in_flight=round(taken * 0.05),
            refused=refused,
        )
        fleet.gateways.samples.append(
            GatewaySample(name, 1.0, {str(KEY): ModelSample({"digits-v1": version})})
        )


def run(fleet: Fleet, seconds: int, arrivals: int, refused: int) -> int:
    for _ in range(seconds):
        fleet.now += 1.0
        report(fleet, arrivals, refused)
        fleet.ticker.tick()
        fleet.seen(fleet.granted)
    return fleet.granted


def test_what_is_refused_counts_as_demand():
    taken_only, all_of_it = Fleet(), Fleet()
    assert run(all_of_it, 60, 60, 40) > run(taken_only, 60, 20, 0)
    assert run(all_of_it, 60, 60, 40) >= run(Fleet(), 120, 60, 0)


def test_an_overload_wakes_the_model_once_and_once_more_when_it_ends():
    fleet = Fleet(granted=10)
    entry = fleet.ledger.entry(KEY)
    found, wakes = [], 0
    for seconds, arrivals, refused in ((40, 60, 0), (60, 60, 40), (60, 20, 0)):
        for _ in range(seconds):
            fleet.woken.clear()
            run(fleet, 1, arrivals, refused)
            if not found or entry.answer.overload != found[-1]:
                found.append(entry.answer.overload)
                wakes += KEY in fleet.woken
    assert found == [None, NONE, 3.0, NONE]
    assert wakes == 3


def test_an_overload_ends_when_nobody_asks_any_more():
    fleet = Fleet(granted=10)
    run(fleet, 40, 60, 40)
    for _ in range(40):
        fleet.now += 1.0
        fleet.gateways.report(0, 0.0)
        fleet.ticker.tick()
    assert fleet.ledger.entry(KEY).answer.overload == NONE


def test_a_new_leader_does_not_know_before_it_has_watched():
    fleet = Fleet()
    run(fleet, 20, 60, 0)
    assert fleet.ledger.entry(KEY).answer.overload is None
