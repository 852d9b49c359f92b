"""The scaling pass with signals: they raise, and what is not known lowers nothing."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.api.reasons import Reason
from modelfleet.catalog.signals.query import QuerySignal
from modelfleet.core.scaling.demand import ask, demands
from modelfleet.engine.handover import LastTurn
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading, SignalFault, SignalSpec, Watched
from modelfleet.facts.scaling import ScalingParams, Window
from tests.doubles.scaled_model import Gateways

KEY = Key("team-a", "digits")
LAG = SignalSpec("lag", 8.0, query="sum(lag)")
FAULT = SignalFault(Reason.NO_SERIES, "nothing")
PARAMS = ScalingParams(
    min_replicas=0,
    max_replicas=10,
    slots=1,
    scale_down_seconds=10.0,
    keep_alive_seconds=20.0,
    signals=(LAG,),
)


class Fleet:
    """One model under the ticker; readings as the test says."""

    def __init__(self, granted: int = 1) -> None:
        self.now = 1000.0
        self.gateways, self.ledger = Gateways(), Ledger()
        self.woken: list[Key] = []
        self.reading = Reading(LAG, 0.0, True)
        self.ticker = Ticker(
            self.ledger, self.gateways, self.woken.append, lambda: self.now, readings=self
        )
        self.granted = granted

    def readings(self, _key, signals):
        return tuple(replace(self.reading, spec=spec) for spec in signals)

    def run(self, seconds: int, reading: Reading, rate: float = 0) -> int:
        self.reading = reading
        for _ in range(seconds):
            self.now += 1.0
            seen = LastTurn(
                PARAMS, self.granted, self.granted, 0, 4.0, pods=("p",), ready_pods=("p",)
            )
            self.ledger.entry(KEY).last_turn = seen
            self.gateways.report(rate, 0.05)
            self.ticker.tick()
            grant = self.ledger.entry(KEY).answer.grant
            self.granted = self.granted if grant is None else grant.replicas
        return self.granted


def good(value: float) -> Reading:
    return Reading(LAG, value, is_current=True)


HELD = Reading(LAG, 8.0)
LOST = Reading(LAG, fault=FAULT)


def test_value_over_target_is_replicas_and_the_name_is_said():
    window = Window((), 0.0, 0.0, 1, 0, 4.0, readings=(good(30.0),))
    demand = QuerySignal().demand(window, PARAMS)
    assert demand is not None
    assert demand.replicas == 3.75
    assert demand.why == "signal 'lag': 30, one replica carries 8"


def test_number_follows_the_signal_up_at_once_and_down_after_the_window():
    fleet = Fleet()
    assert fleet.run(2, good(30)) == 4
    assert fleet.run(9, good(9)) == 4
    assert fleet.run(3, good(9)) == 2
    assert fleet.run(40, good(0)) == 0


def test_signal_wakes_from_zero():
    fleet = Fleet(granted=0)
    assert fleet.run(1, good(3)) == 1


def test_unknown_keeps_the_number_however_long():
    fleet = Fleet()
    fleet.run(20, good(30))
    assert fleet.run(300, HELD) == 4
    assert fleet.run(300, LOST) == 4


def test_unknown_still_rises_by_traffic_and_by_a_partial_value():
    fleet = Fleet()
    low = fleet.run(30, good(8), rate=20)
    assert fleet.run(30, LOST, rate=100) > low
    other = Fleet()
    other.run(20, good(8))
    assert other.run(2, Reading(LAG, 40.0)) == 5


def test_after_a_gap_the_whole_window_is_watched_again():
    fleet = Fleet()
    fleet.run(20, good(30))
    fleet.run(60, LOST)
    assert fleet.run(9, good(1)) == 4
    assert fleet.run(5, good(1)) == 1


def test_turn_is_woken_when_what_is_said_changes_and_only_then():
    fleet = Fleet()
    fleet.run(20, good(8))
    fleet.woken.clear()
    fleet.run(20, good(7.5))
    assert fleet.woken == []
    fleet.run(5, LOST)
    assert fleet.woken == [KEY]
    fleet.run(5, good(8))
    assert fleet.woken == [KEY, KEY]


def test_ledger_says_what_is_to_be_read():
    fleet = Fleet()
    fleet.run(1, good(1))
    assert fleet.ledger.watched() == {KEY: Watched((LAG,), ("p",), ("p",))}


VALUE = st.none() | st.floats(0, 1e15)


@settings(max_examples=300)
@given(
    values=st.lists(st.tuples(VALUE, st.booleans()), min_size=1, max_size=8),
    bounds=st.tuples(st.integers(0, 1000), st.integers(1, 1000)).filter(lambda b: b[0] <= b[1]),
    held=st.integers(0, 1000),
    target=st.floats(1e-6, 1e9),
)
def test_ask_is_within_the_bounds_and_never_falls_on_what_is_not_known(
    values, bounds, held, target
):
    low, high = bounds
    specs = [SignalSpec(f"s{i}", target, query="q") for i in range(len(values))]
    readings = tuple(
        Reading(spec, value, is_current and value is not None)
        for spec, (value, is_current) in zip(specs, values, strict=True)
    )
    params = replace(PARAMS, min_replicas=low, max_replicas=high, signals=tuple(specs))
    window = Window((), 1e6, 1e6, held, 0, 4.0, readings=readings)
    found = ask(window, params, held, demands(window, params))
    assert low <= found.want <= high
    if any(not reading.is_current for reading in readings):
        assert found.want >= min(held, high)
