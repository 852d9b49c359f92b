"""What holds for every ask: bounds, missing data, determinism, whatever the order of models."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.core.fleet.allocate import allocate
from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Bin, Policy
from modelfleet.core.forecasting.quantiles.regression import uninformed
from modelfleet.core.scaling.demand import ask, demands
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import Ask, Bucket, Forecast, ScalingParams, Window

NOW = 1000.0
COUNTS = st.integers(0, 10**7)
SECONDS = st.floats(0, 1e6)
FORECASTS = st.none() | st.builds(
    Forecast, COUNTS, COUNTS, st.just("forecast"), st.none() | SECONDS, st.booleans()
)


@st.composite
def buckets(draw: st.DrawFn) -> tuple[Bucket, ...]:
    size = draw(st.integers(0, 20))
    return tuple(
        Bucket(
            NOW - age,
            1.0,
            draw(COUNTS),
            draw(COUNTS),
            draw(SECONDS),
            draw(COUNTS),
            draw(st.integers(0, 50)),
        )
        for age in range(size, 0, -1)
    )


@st.composite
def windows(draw: st.DrawFn) -> Window:
    return Window(
        buckets=draw(buckets()),
        now=NOW,
        observed_seconds=draw(SECONDS),
        ready=draw(st.integers(0, 100)),
        starting=draw(st.integers(0, 100)),
        startup_seconds=draw(st.floats(0.1, 3600)),
        service_seconds=draw(st.none() | st.floats(1e-4, 600)),
        is_complete=draw(st.booleans()),
        forecast=draw(FORECASTS),
    )


@st.composite
def bounds(draw: st.DrawFn) -> ScalingParams:
    low = draw(st.integers(0, 50))
    high = draw(st.integers(max(low, 1), 1000))
    objective = draw(st.none() | st.floats(0.001, 100))
    slots = draw(st.integers(1, 256))
    return ScalingParams(low, high, slots, 60.0, 300.0, latency_objective_seconds=objective)


def asked(window: Window, params: ScalingParams, held: int) -> Ask:
    return ask(window, params, held, demands(window, params), ())


@given(windows(), bounds(), st.integers(0, 2000))
def test_within_the_bounds_whatever_is_measured(window, params, held):
    assert params.min_replicas <= asked(window, params, held).want <= params.max_replicas


@given(windows(), bounds(), st.integers(0, 1000))
def test_a_silent_gateway_takes_nothing_away(window, params, held):
    if window.is_complete:
        return
    kept = min(max(held, params.min_replicas), params.max_replicas)
    assert asked(window, params, held).want >= kept


@given(windows(), bounds(), st.integers(0, 1000))
def test_same_facts_same_answer(window, params, held):
    assert asked(window, params, held) == asked(window, params, held)


@given(
    st.dictionaries(
        st.integers(0, 30), st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=8
    ),
    st.none() | st.integers(0, 100),
    st.randoms(use_true_random=False),
)
def test_order_of_models_does_not_matter(wants, budget, chance):
    asks = {Key("n", f"m{n}"): Ask(floor + more, floor, 99) for n, (floor, more) in wants.items()}
    mixed = list(asks.items())
    chance.shuffle(mixed)
    assert allocate(asks, budget, {}) == allocate(dict(mixed), budget, {})


@settings(max_examples=15)
@given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
def test_rows_of_the_policy_may_stand_in_any_order(order, seed):
    services = [ModelFigures(20.0 * (n + 1), 1.0 + n, 2 + n, 0.3 * (n + 1)) for n in range(4)]
    plain, mixed = Policy(4, SHIPPED), Policy(4, SHIPPED)
    for place, number in enumerate(order):
        plain.adopt(number, services[number], uninformed())
        mixed.adopt(place, services[number], uninformed())
    chance, some = np.random.default_rng(seed), np.array(order)
    for _ in range(40):
        columns = chance.poisson(30, (7, 4)).astype(np.float32)
        first, second = plain.step(Bin(*columns)), mixed.step(Bin(*columns[:, some]))
    assert (first.up[some] == second.up).all()
    assert (first.hold[some] == second.hold).all()
