"""Signals, asks and grants: worked examples and edges."""

import math
from dataclasses import replace

import pytest

from modelfleet.catalog.signals import staffed
from modelfleet.catalog.signals.concurrency import ConcurrencySignal
from modelfleet.catalog.signals.forecast import RateSignal
from modelfleet.core.fleet.allocate import allocate
from modelfleet.core.scaling.demand import Needs, demands
from modelfleet.core.scaling.demand import ask as ask_with
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import (
    Ask,
    Bucket,
    Forecast,
    ScalingParams,
    Window,
    keep_alive_seconds,
)

NOW = 1000.0
PARAMS = ScalingParams(
    min_replicas=0, max_replicas=10, slots=1, scale_down_seconds=60.0, keep_alive_seconds=300.0
)


def ask(seen: Window, params: ScalingParams, granted: int, needs: Needs = ()) -> Ask:
    return ask_with(seen, params, granted, demands(seen, params), needs)


def window(rate: float = 20.0, seconds: int = 20, **more: object) -> Window:
    """Steady traffic: so many requests a second, 50 ms each unless said."""
    service = float(more.pop("service_seconds", 0.05) or 0)
    flight = int(more.pop("in_flight", round(rate * service)))
    slow = int(more.pop("slow", 0))
    held = int(more.pop("held", 0))
    buckets = tuple(
        Bucket(NOW - age, 1.0, round(rate), round(rate), rate * service, flight, held, slow)
        for age in range(seconds, -1, -1)
    )
    fields = {
        "observed_seconds": 1000.0,
        "ready": 1,
        "starting": 0,
        "startup_seconds": 4.0,
        "service_seconds": service or None,
        **more,
    }
    return Window(buckets=buckets, now=NOW, **fields)  # type: ignore[arg-type]


def test_staffing_example():
    assert staffed(1.0, 1) == pytest.approx(2.5)


def test_rate_example():
    demand = RateSignal().demand(window(20), PARAMS)
    assert demand is not None
    assert demand.replicas == pytest.approx(2.5)


CALM = ScalingParams(0, 10, 4, 60.0, 300.0, latency_objective_seconds=0.2)


def slow_begin(**changed: object) -> Window:
    """A new leader that sees 50 requests/s; each takes 80 ms, slow with the leader's own start."""
    return window(
        50, **{"service_seconds": 0.08, "in_flight": 5, "is_taking_over": True, **changed}
    )


@pytest.mark.parametrize(
    ("signal", "forecast"),
    [(RateSignal(), None), (RateSignal(), Forecast(2, 3, "4 busy")), (ConcurrencySignal(), None)],
)
def test_new_leader_adds_no_replica_where_nobody_waits_too_long(signal, forecast):
    """4 slots answer 10 requests under way within the 200 ms that are promised."""
    found = signal.demand(slow_begin(in_flight=10, forecast=forecast), CALM)
    assert found is not None
    assert (found.replicas, "no request waits too long" in found.why) == (1, True)


@pytest.mark.parametrize(
    ("signal", "forecast"),
    [(RateSignal(), None), (RateSignal(), Forecast(2, 3, "4 busy")), (ConcurrencySignal(), None)],
)
@pytest.mark.parametrize(
    "changed",
    [
        {"is_taking_over": False, "observed_seconds": 0.0},
        {"in_flight": 11},
    ],
)
def test_other_leaders_and_those_whose_requests_wait_add_replicas(signal, forecast, changed):
    found = signal.demand(slow_begin(forecast=forecast, **changed), CALM)
    assert found is not None
    assert found.replicas > 1
    assert "has just begun" not in found.why


def test_new_leader_adds_a_replica_where_none_serves():
    found = RateSignal().demand(slow_begin(ready=0), CALM)
    assert found is not None
    assert found.replicas > 1


def test_rate_knows_nothing_before_the_first_answer():
    assert RateSignal().demand(window(20, service_seconds=0), PARAMS) is None


def test_rate_follows_a_rise_for_one_start_up_at_most_doubled():
    rising = window(10)
    buckets = tuple(
        Bucket(b.at, 1.0, 40 if NOW - b.at < 5 else 10, 10, 0.5, 0, 0) for b in rising.buckets
    )
    fast = RateSignal().demand(_with(rising, buckets), PARAMS)
    assert fast is not None
    assert fast.replicas > staffed(40 * 0.05, 1)
    assert fast.replicas <= staffed(80 * 0.05, 1)


def _with(base: Window, buckets: tuple[Bucket, ...]) -> Window:
    return Window(
        buckets=buckets,
        now=base.now,
        observed_seconds=base.observed_seconds,
        ready=base.ready,
        starting=base.starting,
        startup_seconds=base.startup_seconds,
        service_seconds=base.service_seconds,
    )


def test_concurrency_example():
    params = ScalingParams(0, 10, 2, 60.0, 300.0)
    demand = ConcurrencySignal().demand(window(0, in_flight=3), params)
    assert demand is not None
    assert demand.replicas == pytest.approx(1.5)


def test_requests_under_way_at_one_moment_are_no_load():
    """A new leader's first look falls into 300 ms in which its own start kept the node busy."""
    params = ScalingParams(0, 10, 4, 60.0, 300.0)
    signal, calm = ConcurrencySignal(), window(50, in_flight=1)
    queue = replace(calm.buckets[-1], in_flight=16)
    assert signal.demand(_with(calm, (queue,)), params) is None
    found = signal.demand(_with(calm, (queue, *calm.buckets[-4:])), params)
    assert found is not None
    assert found.replicas == 0.25
    none_serves = replace(_with(calm, (queue,)), ready=0)
    found = signal.demand(none_serves, params)
    assert found is not None
    assert found.replicas == 4, "where nobody serves there is nothing to wait for"


def test_backlog_is_finite_work():
    held = window(0, held=40, service_seconds=0.1, startup_seconds=2.0)
    demand = ConcurrencySignal().demand(held, ScalingParams(0, 10, 2, 60.0, 300.0))
    assert demand is not None
    assert demand.replicas == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("latency", "wait", "service", "expected"),
    [(0.2, None, 0.12, 0.08), (0.2, None, 0.5, 0.05), (None, None, 0.5, 1.0), (0.2, 3.0, 9.0, 3.0)],
)
def test_allowed_wait_is_what_the_promise_leaves(latency, wait, service, expected):
    params = replace(PARAMS, latency_objective_seconds=latency, wait_objective_seconds=wait)
    assert params.wait_seconds(service) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("learned", "latency", "expected"),
    [
        (None, None, 300.0),
        (1200.0, None, 1200.0),
        (14_400.0, None, 3600.0),
        (14_400.0, 0.2, 14_400.0),
    ],
)
def test_keep_alive_is_learned_and_bounded_where_nothing_is_promised(learned, latency, expected):
    params = replace(PARAMS, latency_objective_seconds=latency)
    known = Forecast(1, 1, "", learned)
    assert keep_alive_seconds(window(0, forecast=known), params) == expected


@pytest.mark.parametrize(("is_woken", "expected"), [(False, 0), (True, 1)])
def test_earlier_days_wake_a_sleeper(is_woken, expected):
    known = Forecast(1, 1, "the forecast", 60.0, is_woken)
    asleep = window(0, forecast=known, observed_seconds=4000.0)
    assert ask(asleep, PARAMS, 0).want == expected


@pytest.mark.parametrize(("rate", "expected"), [(1, 1), (20, 3), (1000, 10)])
def test_ask_stays_within_the_bounds(rate, expected):
    assert ask(window(rate), PARAMS, 1).want == expected


def test_cap_is_said_first():
    assert "maxReplicas 10" in ask(window(1000), PARAMS, 1).why[0]


def test_missing_data_never_lowers():
    assert ask(window(1, is_complete=False), PARAMS, 7).want == 7
    assert ask(window(100, is_complete=False), PARAMS, 2).want == 9


@pytest.mark.parametrize(("observed", "expected"), [(299.0, 1), (301.0, 0)])
def test_zero_only_after_the_keep_alive_was_watched(observed, expected):
    quiet = window(0, in_flight=0, observed_seconds=observed)
    assert ask(quiet, PARAMS, 1).want == expected


def test_highest_demand_of_the_window_is_kept():
    needs = tuple((NOW - age, want) for age, want in ((70, 1.0), (30, 4.0), (10, 1.0), (0, 1.0)))
    assert ask(window(1), PARAMS, 4, needs).want == 4
    later = tuple((at - 31, want) for at, want in needs)
    assert ask(window(1), PARAMS, 4, later).want == 1


def test_leader_that_has_not_watched_the_whole_window_takes_nothing_away():
    young = ask(window(1, observed_seconds=59.0), PARAMS, 4)
    assert young.want == 4
    assert "only 59 s were watched" in young.why[0]


@pytest.mark.parametrize(
    ("up", "hold", "granted", "expected"), [(3, 5, 2, 3), (3, 5, 4, 4), (3, 5, 7, 5), (0, 0, 3, 1)]
)
def test_forecast_says_what_to_start_and_what_to_keep(up, hold, granted, expected):
    forecast = Forecast(up, hold, "forecast")
    found = ask(window(20, forecast=forecast), PARAMS, granted)
    assert found.want == expected


def test_quiet_model_sleeps_whatever_its_forecast_keeps():
    forecast = Forecast(1, 1, "floor")
    assert ask(window(0, in_flight=0, forecast=forecast), PARAMS, 1).want == 0


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e9])
def test_ask_is_finite_for_any_service_time(value):
    want = ask(window(20, service_seconds=value), PARAMS, 1).want
    assert math.isfinite(want)
    assert 0 <= want <= 10


A, B = Key("n", "a"), Key("n", "b")


def test_allocate_without_budget_grants_every_ask():
    grants = allocate({A: Ask(3, 1, 5, ("why",)), B: Ask(0, 0, 5)}, None, {})
    assert {k: g.replicas for k, g in grants.items()} == {A: 3, B: 0}
    assert grants[A].why == ("why",)


def test_allocate_example_and_order_does_not_matter():
    asks = {A: Ask(3, 1, 5), B: Ask(3, 0, 5)}
    first = allocate(asks, 3, {})
    second = allocate(dict(reversed(asks.items())), 3, {})
    assert first == second
    assert {k: g.replicas for k, g in first.items()} == {A: 2, B: 1}
    assert "budget gives 2 of 3" in first[A].why[0]


@pytest.mark.parametrize(
    ("ready", "rate", "observed", "keep_alive", "is_woken", "replicas"),
    [
        (0, 0, 900.0, None, False, None),
        (0, 0, 5.0, None, False, None),  # a new leader has watched for a moment only
        (0, 0, 900.0, 14_400.0, False, None),  # a longer keep-alive was learned since it slept
        (0, 0, 5.0, None, True, 2),
        (0, 20, 5.0, None, False, 2),
        (1, 0, 5.0, None, False, 2),  # it does not sleep: nobody knows for how long it was quiet
        (1, 0, 900.0, None, False, None),
    ],
)
def test_only_a_request_or_earlier_days_wake_a_model(
    ready, rate, observed, keep_alive, is_woken, replicas
):
    forecast = Forecast(2, 3, "0 busy slots now, 0.085 as the least share", keep_alive, is_woken)
    quiet = window(rate, forecast=forecast, ready=ready, observed_seconds=observed)
    found = RateSignal().demand(quiet, PARAMS)
    assert (found and found.replicas) == replicas
    if is_woken:
        assert "earlier days had requests at this time" in found.why
