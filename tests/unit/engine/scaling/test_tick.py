"""The scaling pass on a virtual clock."""

from dataclasses import replace

import pytest

from modelfleet.core.fleet.allocate import allocate
from modelfleet.core.scaling.learned_concurrency import Evidence
from modelfleet.core.scaling.service_time import ServiceTime
from modelfleet.engine.handover import LastTurn
from modelfleet.engine.scaling import takeover, tick
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import Ask, Grant
from modelfleet.facts.traffic import AnswerTimes
from tests.doubles.scaled_model import KEY, PARAMS, Fleet

NEW_SECONDS = 190
"""So long a model that starts in 4 s keeps its highest demand: (4 + 5) / 0.05, and a bin."""


def test_replicas_follow_arrivals_times_service_time():
    fleet = Fleet()
    assert fleet.run(30, rate=20) in (2, 3), "1 busy slot and a margin"
    assert fleet.run(30, rate=100) in range(6, 11), "5 busy slots and a margin"


def test_the_last_samples_of_a_deleted_model_leave_nothing():
    fleet = Fleet()
    fleet.run(30, rate=20)
    fleet.ledger.forget(KEY)
    fleet.gateways.report(20, 0.05)
    for _ in range(10):
        fleet.ticker.tick()
        fleet.now += 1.0
    assert fleet.ledger.known(KEY) is None
    assert fleet.ticker.forecaster.known() == []


def test_lower_demand_must_last():
    fleet = Fleet()
    high = fleet.run(NEW_SECONDS, rate=100)
    assert fleet.run(8, rate=20) == high
    assert fleet.run(80, rate=20) < high


def test_model_that_is_hardly_known_gives_nothing_back():
    fleet = Fleet()
    fleet.run(30, rate=100)
    assert fleet.run(100, rate=4) >= 5, "100 requests/s of 50 ms"
    assert fleet.run(NEW_SECONDS, rate=4) < 5


def test_idle_model_goes_to_zero_only_after_the_keep_alive():
    fleet = Fleet()
    fleet.run(30, rate=4)
    assert fleet.run(18, rate=0) == 1
    assert fleet.run(20, rate=0) == 0


def test_new_leader_takes_nothing_away_before_it_has_watched():
    fleet = Fleet(granted=5)
    assert fleet.run(9, rate=4) == 5
    assert fleet.run(NEW_SECONDS, rate=4) < 5


SHARED = replace(
    PARAMS,
    slots=4,
    min_replicas=1,
    latency_objective_seconds=0.2,
    learns_slots=True,
    is_hint=True,
)


def inherited(fleet: Fleet) -> None:
    """A new leader finds one replica that serves."""
    fleet.ledger.forget(KEY)
    fleet.ticker.begin()
    fleet.ledger.entry(KEY).hand_over(LastTurn(SHARED, 1, 1, 0, 4.0))


def of_new_leader(fleet: Fleet, seconds: int, rate: float, service_seconds: float) -> int:
    """The highest grant while the model is served by what its grant says."""
    most = 0
    for _ in range(seconds):
        fleet.now += 1.0
        fleet.gateways.report(rate, service_seconds)
        fleet.ticker.tick()
        fleet.ledger.entry(KEY).hand_over(LastTurn(SHARED, fleet.granted, fleet.granted, 0, 4.0))
        most = max(most, fleet.granted)
    return most


@pytest.mark.parametrize("slow_seconds", [3, 9, 14])
def test_answers_that_are_slow_with_the_leaders_own_start_buy_nothing(slow_seconds):
    fleet = Fleet()
    inherited(fleet)
    assert of_new_leader(fleet, slow_seconds, 50, 0.16) == 1
    assert of_new_leader(fleet, 200, 50, 0.008) == 1
    work = fleet.ledger.entry(KEY).scaling.service_time
    assert work.service_seconds == pytest.approx(0.008, rel=0.3)


def test_what_is_known_of_a_model_is_not_forgotten_for_a_slow_start():
    fleet = Fleet()
    inherited(fleet)
    fleet.ledger.entry(KEY).scaling.service_time = ServiceTime(0.08, 10.0, 0.08)
    assert of_new_leader(fleet, 19, 50, 0.16) == 1
    work = fleet.ledger.entry(KEY).scaling.service_time
    assert work.service_seconds == pytest.approx(0.008)
    assert fleet.ledger.entry(KEY).scaling.evidence == Evidence()


@pytest.mark.parametrize("slow_seconds", [3, 9, 19])
def test_new_leader_believes_the_memory_of_the_gateways_more_than_its_own_start(slow_seconds):
    """31 requests under way, slower than promised: without that memory it buys replicas."""
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(24.0, 3000.0)
    assert of_new_leader(fleet, slow_seconds, 50, 0.62) == 1
    assert fleet.ledger.entry(KEY).scaling.learned().service_seconds == pytest.approx(0.008)
    assert of_new_leader(fleet, 200, 50, 0.008) == 1
    blind = Fleet()
    inherited(blind)
    assert of_new_leader(blind, 9, 50, 0.62) > 1


@pytest.mark.parametrize("starved_seconds", [30, 60, 120])
def test_a_node_that_is_starved_for_longer_than_a_begin_buys_nothing(starved_seconds):
    """60 under way where 0.4 were: as many requests come as before, so as many are needed."""
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(24.0, 3000.0)
    assert of_new_leader(fleet, starved_seconds, 50, 1.2) == 1
    assert of_new_leader(fleet, 200, 50, 0.008) == 1
    assert fleet.ledger.entry(KEY).scaling.learned().service_seconds == pytest.approx(
        0.008, rel=0.3
    )


def test_what_the_gateways_remember_later_has_the_slow_answers_in_it():
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(24.0, 3000.0)
    of_new_leader(fleet, 5, 50, 1.2)
    fleet.gateways.remembered = AnswerTimes(2400.0, 3000.0)
    assert of_new_leader(fleet, 60, 50, 1.2) == 1


@pytest.mark.parametrize("begin_seconds", [3, 30, 60])
def test_more_requests_are_demand_also_while_a_leader_takes_over(begin_seconds):
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(24.0, 3000.0)
    assert of_new_leader(fleet, begin_seconds, 50, 0.62) == 1
    assert of_new_leader(fleet, 20, 1000, 0.62) >= 2, "8 busy slots at what an answer took before"


def test_answers_as_quick_as_before_end_the_taking_over():
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(24.0, 3000.0)
    of_new_leader(fleet, 30, 50, 0.62)
    assert takeover.is_under_way(fleet.ledger.entry(KEY), 30.0)
    of_new_leader(fleet, 7, 50, 0.008)
    assert not takeover.is_under_way(fleet.ledger.entry(KEY), 37.0)
    assert of_new_leader(fleet, 300, 50, 0.62) > 1, "slow for another reason now"


def test_a_model_that_stays_slow_is_believed_in_the_end():
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(24.0, 3000.0)
    assert of_new_leader(fleet, int(takeover.LONGEST_SECONDS) - 1, 50, 0.62) == 1
    assert of_new_leader(fleet, 300, 50, 0.62) > 1


def test_a_new_leader_does_not_call_gateways_silent_before_they_could_report():
    fleet = Fleet()
    fleet.ticker.begin()
    fleet.gateways.alive["gw-1"] = False
    of_new_leader(fleet, 30, 50, 0.008)
    assert fleet.ticker.silent_seconds() is None
    of_new_leader(fleet, 40, 50, 0.008)
    assert (fleet.ticker.silent_seconds() or 0.0) > 60
    fleet.gateways.alive["gw-1"] = True
    of_new_leader(fleet, 3, 50, 0.008)
    assert fleet.ticker.silent_seconds() == 0.0


def test_memory_of_an_overload_does_not_count_its_waits():
    """Requests of 80 ms that waited for 5 s: what the slots could do in that time is believed."""
    fleet = Fleet()
    inherited(fleet)
    fleet.gateways.remembered = AnswerTimes(15_000.0, 3000.0)
    of_new_leader(fleet, 5, 50, 5.0)
    found = fleet.ledger.entry(KEY).scaling.learned().service_seconds
    assert found is not None
    assert found <= 4 / 50 * 10, "at most all slots of the replicas that it may have by now"


def test_new_leader_adds_replicas_when_the_load_is_not_served_in_time():
    fleet = Fleet()
    inherited(fleet)
    assert of_new_leader(fleet, 8, 100, 0.3) > 1, "30 under way, and 20 are answered in time"


def test_silent_gateway_makes_no_leader_new_again():
    fleet = Fleet()
    inherited(fleet)
    assert of_new_leader(fleet, 30, 50, 0.008) == 1
    fleet.gateways.alive["gw-1"] = False
    of_new_leader(fleet, 10, 50, 0.008)
    fleet.gateways.alive["gw-1"] = True
    # 16 are under way: with what is known of them by then they are answered in time.
    assert of_new_leader(fleet, 15, 400, 0.04) > 1


def test_slow_model_needs_its_replicas_after_the_begin_too():
    """What the first seconds showed is doubted, not denied."""
    fleet = Fleet()
    inherited(fleet)
    assert of_new_leader(fleet, 19, 50, 0.16) == 1
    assert of_new_leader(fleet, 20, 50, 0.16) > 2


def test_silent_gateway_holds_the_number_and_still_lets_it_grow():
    fleet = Fleet()
    high = fleet.run(NEW_SECONDS, rate=100)
    fleet.gateways.alive["gw-1"] = False
    assert fleet.run(60, rate=4) == high
    assert (fleet.ticker.silent_seconds() or 0.0) > 50
    fleet.gateways.alive["gw-1"] = True
    assert fleet.run(40, rate=4) < high
    fleet.gateways.alive["gw-1"] = False
    assert fleet.run(20, rate=200) > 3


def test_held_request_wakes_at_once():
    fleet = Fleet()
    fleet.run(30, rate=4)
    fleet.run(40, rate=0)
    assert fleet.granted == 0
    fleet.woken.clear()
    fleet.gateways.parked = 1
    fleet.ticker.tick_one(KEY)
    assert (fleet.granted, fleet.woken) == (1, [KEY])


def promised(fleet: Fleet, ready: int, *, in_flight: float, bucket: int, **changed: object) -> None:
    """20 s of traffic that keeps so many requests under way in `ready` replicas of 8 slots."""
    limit = changed.get("limit", 0.2)
    params = replace(
        PARAMS, slots=8, latency_objective_seconds=limit, learns_slots=True, min_replicas=1
    )
    version = str(changed.get("version", "digits-v1"))
    for _ in range(20):
        fleet.now += 1.0
        fleet.gateways.report(100, in_flight / 100, bucket)
        seen = LastTurn(params, fleet.granted, ready, 0, 4.0, stable=version)
        fleet.ledger.entry(KEY).last_turn = seen
        fleet.ticker.tick()


def test_latency_above_the_objective_corrects_the_slots():
    fleet = Fleet()
    promised(fleet, 1, in_flight=8, bucket=40)
    assert fleet.ledger.entry(KEY).scaling.slots == 12
    promised(fleet, 1, in_flight=8, bucket=60)
    assert fleet.ledger.entry(KEY).scaling.slots == 4
    assert fleet.granted >= 2


def test_objective_below_the_own_latency_is_told_once_and_buys_nothing():
    fleet = Fleet()
    promised(fleet, 4, in_flight=2, bucket=60)
    entry = fleet.ledger.entry(KEY)
    assert entry.answer.lone_latency_seconds is not None
    assert entry.scaling.slots == 8
    told = fleet.woken.count(KEY)
    promised(fleet, 4, in_flight=2, bucket=60)
    assert fleet.woken.count(KEY) <= told + 1
    assert fleet.granted <= 4


def test_model_that_nobody_knows_is_no_error():
    fleet = Fleet()
    fleet.ticker.tick_one(Key("x", "y"))
    assert fleet.woken == []


@pytest.mark.parametrize("changed", [{"limit": 2.0}, {"version": "digits-v2"}])
def test_another_objective_or_version_is_judged_by_its_own_answers(changed):
    fleet = Fleet()
    promised(fleet, 4, in_flight=2, bucket=60)
    entry = fleet.ledger.entry(KEY)
    assert entry.answer.lone_latency_seconds is not None
    fleet.woken.clear()
    promised(fleet, 4, in_flight=2, bucket=40, **changed)
    assert entry.answer.lone_latency_seconds is None
    assert KEY in fleet.woken
    assert entry.scaling.evidence.boundary(PARAMS.aim, fleet.now)[1] == -1


def fleet_with_a_quiet_model(monkeypatch, budget, params=PARAMS):
    """A fleet with a second model that holds a grant of two, and the tables that were allocated."""
    fleet = Fleet()
    fleet.ticker.budget = budget
    other = Key("team-b", "quiet")
    fleet.ledger.entry(other).last_turn = LastTurn(params, 2, 2, 0, 4.0)
    fleet.ledger.entry(other).answer.ask = Ask(2, 1, 10, ("as before",))
    fleet.ledger.entry(other).answer.grant = Grant(2, ("as before",))
    tables = []

    def watched(asks, budget, granted):
        tables.append(set(asks))
        return allocate(asks, budget, granted)

    monkeypatch.setattr(tick, "allocate", watched)
    return fleet, other, tables


def test_allocation_sees_the_whole_fleet_and_wakes_only_what_changes(monkeypatch):
    fleet, other, tables = fleet_with_a_quiet_model(monkeypatch, budget=3)
    fleet.run(5, rate=60)
    assert tables[-1] == {KEY, other}
    assert fleet.ledger.entry(other).answer.grant.replicas == 1
    assert "the budget gives 1 of 2" in fleet.ledger.entry(other).answer.grant.why
    assert other in fleet.woken


def test_without_a_budget_a_model_is_allocated_alone(monkeypatch):
    at_rest = replace(PARAMS, min_replicas=2)
    fleet, other, tables = fleet_with_a_quiet_model(monkeypatch, budget=None, params=at_rest)
    fleet.run(5, rate=60)
    assert tables[-1] == {KEY}
    assert other not in fleet.woken
