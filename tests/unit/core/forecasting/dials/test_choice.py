"""Choice of a dial: error budget, admission, cheapest of the safe ones."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import DAY_BINS, HOUR_BINS, RISKS, SHIPPED
from modelfleet.core.forecasting.dials.choice import DialChoice
from modelfleet.core.forecasting.dials.dials import Dials
from modelfleet.core.forecasting.dials.replay_queues import FigureColumns

ABOUT = FigureColumns(np.array([[60.0, 5.0, 8.0, 2.0]]), SHIPPED)
PROMISE = np.array([0.01])
RATE = np.array([10.0])


def choice() -> DialChoice:
    return DialChoice(1, Dials(SHIPPED), SHIPPED)


def aged(chosen: DialChoice, days: float, violated: np.ndarray, cost: np.ndarray) -> int:
    """Choose at that age, with what the dials have done so far."""
    requests = days * 86_400 * RATE
    chosen.requests[:], chosen.violated[0], chosen.cost[0] = requests, violated * requests, cost
    chosen.choose(np.array([int(days * DAY_BINS)]), PROMISE, ABOUT, RATE)
    return int(chosen.chosen[0])


def test_young_model_is_treated_with_care():
    fresh = choice()
    fresh.choose(np.array([10]), PROMISE, ABOUT, RATE)
    assert RISKS[fresh.chosen[0]] == pytest.approx(0.009)


def test_cheapest_of_the_safe_ones():
    bank = Dials(SHIPPED)
    violated = np.full(bank.size, 0.05)
    violated[[10, 12, 40]] = 0.001
    cost = np.full(bank.size, 9.0)
    cost[[10, 12, 40]] = (5.0, 6.0, 4.0)
    assert aged(choice(), 5, violated, cost) == 40


def test_large_risk_with_a_low_floor_is_not_trusted_on_the_first_day():
    bank = Dials(SHIPPED)
    violated, cost = np.full(bank.size, 0.05), np.full(bank.size, 9.0)
    bold = int(np.flatnonzero((bank.risk > 0.8) & ~bank.is_high)[0])
    violated[bold], cost[bold] = 0.001, 1.0
    first = aged(choice(), 0.5, violated, cost)
    assert bank.risk[first] <= 0.01 or bank.is_high[first]
    assert aged(choice(), 5, violated, cost) == bold


def test_when_nothing_is_safe_the_least_violating_are_taken():
    bank = Dials(SHIPPED)
    violated, cost = np.full(bank.size, 0.5), np.full(bank.size, 1.0)
    violated[[13, 45]], cost[[13, 45]] = (0.20, 0.2004), (9.0, 8.0)
    violated[20], cost[20] = 0.22, 1.0
    assert aged(choice(), 5, violated, cost) == 45


def test_budget_example():
    spent = choice()
    spent.record(np.array([50_000.0]), np.array([600.0]), 0)
    spent.choose(np.array([DAY_BINS]), PROMISE, ABOUT, np.array([100_000 / 86_400]))
    assert spent.aim[0] == pytest.approx(0.8 * 0.009, rel=1e-6)


def test_budget_forgets_after_its_window():
    spent = choice()
    spent.record(np.array([50_000.0]), np.array([9_000.0]), 0)
    for hour in range(1, 6 * 24):
        spent.record(np.zeros(1), np.zeros(1), hour * HOUR_BINS)
    assert spent.missed.sum() == 9_000
    spent.record(np.zeros(1), np.zeros(1), 6 * 24 * HOUR_BINS)
    assert spent.missed.sum() == 0


def test_aim_is_bounded():
    spent = choice()
    spent.record(np.array([1e6]), np.array([9e5]), 0)
    spent.choose(np.array([DAY_BINS]), PROMISE, ABOUT, RATE)
    assert spent.aim[0] == pytest.approx(0.8 * 0.003)


def test_the_first_day_aims_a_little_nearer():
    young = choice()
    young.choose(np.array([DAY_BINS - 1]), PROMISE, ABOUT, RATE)
    assert young.aim[0] == pytest.approx(0.9 * 0.01)


@pytest.mark.parametrize(("aim", "usable"), [(0.01, 54), (0.05, 39)])
def test_bank_has_no_risk_far_below_the_aim(aim, usable):
    assert Dials(SHIPPED).usable(np.array([aim])).sum() == usable


def test_first_days_are_forgotten_faster():
    """With half-lives of 1 to 7 days: 97.2 % an hour at first, 99.6 % after a week."""
    chosen, ones = choice(), np.ones((1, Dials(SHIPPED).size))
    for age, share in ((HOUR_BINS - 1, 0.5 ** (1 / 24)), (9 * DAY_BINS, 0.5 ** (1 / 168))):
        chosen.clear(0)
        chosen.account(np.ones(1), ones, ones, step=HOUR_BINS - 1, age=np.array([age]))
        assert chosen.requests[0] == pytest.approx(share)
        assert chosen.violated[0, 0] == pytest.approx(share)


def test_counted_seconds_are_those_of_the_sums():
    chosen, ones = choice(), np.ones((1, Dials(SHIPPED).size))
    for step in range(2 * DAY_BINS + 100):
        chosen.account(np.ones(1), ones, ones, step=step, age=np.array([step + 1]))
    seconds = chosen.counted_seconds(np.array([2 * DAY_BINS + 100]))[0]
    assert chosen.requests[0] == pytest.approx(seconds / 5, rel=1e-3)
