"""The policy as a whole: properties that hold for any traffic."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.explanation import sentence
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Bin, Policy, PolicyOutput
from modelfleet.core.forecasting.quantiles.regression import Coefficients, uninformed

SERVICES = (ModelFigures(60, 5, 8, 2), ModelFigures(10, 1, 1, 0.05), ModelFigures(180, 5, 16, 20))


def fleet(order: tuple[int, ...] = (0, 1, 2)) -> Policy:
    made = Policy(len(order), SHIPPED)
    for row, number in enumerate(order):
        made.adopt(row, SERVICES[number], uninformed())
    return made


def step(one: Policy, arrivals: np.ndarray, replicas: float = 0.0) -> PolicyOutput:
    zeros = np.zeros(one.size, dtype=np.float32)
    ready = np.full(one.size, replicas, dtype=np.float32)
    return one.step(Bin(arrivals.astype(np.float32), zeros, ready, zeros, zeros, arrivals, zeros))


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=1, max_size=40))
def test_any_traffic_gives_finite_ordered_numbers(bins):
    one = fleet()
    for arrivals in bins:
        wanted = step(one, np.array(arrivals))
        assert (wanted.up >= 0).all()
        assert (wanted.hold >= 0).all()
        assert (wanted.hold < 10**9).all()
        assert (wanted.start <= wanted.cap + 1e-3).all()


def test_order_of_models_is_irrelevant_and_facts_give_the_same_answer():
    rng = np.random.default_rng(5)
    traffic = rng.poisson(30, (400, 3))
    one, other, order = fleet(), fleet((2, 0, 1)), [2, 0, 1]
    for arrivals in traffic:
        first, second = step(one, arrivals), step(other, arrivals[order])
        assert (first.up[order] == second.up).all()
        assert (first.hold[order] == second.hold).all()


def test_silence_after_traffic_does_not_drop_below_the_floor_at_once():
    one = fleet()
    for _ in range(200):
        wanted = step(one, np.array([200, 200, 200]), replicas=20)
    busy = wanted.up.copy()
    quiet = step(one, np.zeros(3), replicas=20)
    assert (quiet.hold >= busy * 0.5 - 1).all()


def test_growing_keeps_every_decision():
    rng = np.random.default_rng(6)
    one, other = fleet(), fleet()
    for number, arrivals in enumerate(rng.poisson(30, (200, 3))):
        if number == 100:
            other.grow(7)
        more = np.zeros(other.size)
        more[:3] = arrivals
        first, second = step(one, arrivals), step(other, more)
        assert (first.up == second.up[:3]).all()


def test_model_that_left_leaves_nothing_to_the_next():
    used, new = fleet(), fleet()
    for _ in range(300):
        step(used, np.array([500, 500, 500]))
    used.clear(0)
    used.adopt(0, SERVICES[0], uninformed())
    first, second = step(used, np.array([5, 0, 0])), step(new, np.array([5, 0, 0]))
    assert first.up[0] == second.up[0]
    assert first.cap[0] == pytest.approx(second.cap[0])


def test_fits_are_due_after_20_minutes_and_then_rarely():
    one, fits = fleet(), []
    for number in range(700):
        for row in one.due():
            one.learn(row, one.fit_of(row)())
            fits.append((number, row))
        step(one, np.array([20, 20, 20]))
    assert [number for number, row in fits if row == 0] == [240, 312, 405, 526, 683]


def test_sentence_names_the_binding_term():
    one = fleet()
    for _ in range(30):
        wanted = step(one, np.array([100, 0, 0]))
    text = sentence(one, wanted, 0)
    assert "busy slots now" in text
    assert "risk 0.9 %" in text or "last day" in text


def test_model_that_is_hardly_known_gives_nothing_back():
    one = fleet()
    for _ in range(20):
        wanted = step(one, np.array([400, 0, 0]))
    busy = wanted.up[0]
    for _ in range(200):
        wanted = step(one, np.zeros(3), replicas=30)
    assert wanted.up[0] >= busy * 0.8
    for _ in range(60):
        wanted = step(one, np.zeros(3), replicas=30)
    assert wanted.up[0] < busy * 0.8, "20 minutes old"


def test_cap_example():
    one = fleet()
    step(one, np.array([400, 0, 0]))
    assert one.live.load[0] == 160
    assert step(one, np.array([400, 0, 0])).cap[0] == pytest.approx(1.05 * 160, rel=1e-3)


def test_forecast_beyond_all_reason_is_capped_for_short_waits_too():
    one = Policy(1, SHIPPED)
    one.adopt(0, ModelFigures(10, 0, 1, 0.05), uninformed())
    absurd = np.zeros((20, 12), dtype=np.float32)
    absurd[0] = 50.0
    one.learn(0, Coefficients(absurd, absurd))
    for _ in range(300):
        wanted = step(one, np.array([500]), replicas=10)
    assert one.live.load[0] == pytest.approx(5)
    assert wanted.start[0] <= wanted.cap[0] < 15
    assert wanted.hold[0] <= 45, "three times the load, where a backlog asks"


def test_memory_example():
    one = Policy(1, SHIPPED)
    one.adopt(0, ModelFigures(4, 1, 1, 0.05, aim=0.05), uninformed())
    for _ in range(36):
        step(one, np.array([1000]))
    assert step(one, np.array([0]), replicas=99).floor[0] == pytest.approx(0.5 * 10, rel=0.02)
    young = Policy(1, SHIPPED)
    young.adopt(0, ModelFigures(4, 1, 1, 0.05, aim=0.05), uninformed())
    for _ in range(35):
        wanted = step(young, np.array([1000]))
    assert wanted.floor[0] == pytest.approx(10), "175 s old: all of it, till (4 + 5) / 0.05 s"


@pytest.mark.parametrize(("has_sustained", "kept"), [(True, 160), (False, 80)])
def test_level_that_nothing_learned_knows_is_kept_while_it_lasts(has_sustained, kept):
    one = Policy(1, replace(SHIPPED, has_sustained=has_sustained))
    one.adopt(0, SERVICES[0], uninformed())
    low = np.zeros((20, 12), dtype=np.float32)
    low[0] = -3.0
    one.learn(0, Coefficients(low, low))
    for _ in range(240):
        wanted = step(one, np.array([400]), replicas=20)
    assert one.live.load[0] == pytest.approx(160)
    assert wanted.keep[0] == pytest.approx(kept, rel=0.01), "without: half of it, the floor"
