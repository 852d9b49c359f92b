"""When models sleep: worked examples, and gaps that repeat, that vary, that follow the clock."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.dials.replay_queues import FigureColumns
from modelfleet.core.forecasting.dials.sleep import KEEP_SECONDS, SHARE, Sleep

ABOUT = FigureColumns(np.array([[60.0, 1.0, 1.0, 0.5]]), SHIPPED)
FAST = FigureColumns(np.array([[2.0, 3.0, 1.0, 0.5]]), SHIPPED)
NOT_KNOWN = np.zeros((2, 1), dtype=np.float32)
FIVE_PERCENT = np.array([0.05 / SHARE])
"""Left to sleep."""


def played(counts, about=ABOUT, days=None) -> Sleep:
    rest = Sleep(1, SHIPPED)
    for step, count in enumerate(counts):
        known = NOT_KNOWN if days is None else days[step]
        rest.step(
            np.array([count], dtype=np.float32), known, about, step=step, age=np.array([step])
        )
    return rest


def chosen(rest, limit=FIVE_PERCENT, about=ABOUT) -> float:
    rest.choose(np.array([0]), limit, about)
    return float(rest.keep_seconds()[0])


def session(pause_bins, requests=40):
    return [1.0] * requests + [0.0] * pause_bins


def test_a_request_to_a_sleeper_is_late_and_so_are_those_of_its_start_up():
    rest = played([1, *[0] * 80, *[1] * 15])
    late = dict(zip(KEEP_SECONDS, rest.violated[0] + rest._hour[0], strict=False))
    # Silent for 405 s; 60 s to start, of which the last second may be waited.
    assert late[300] == 12
    assert late[600] == 0


def test_bill_is_for_the_keep_alive_and_while_awake():
    rest = played([1, *[0] * 200])
    cost = dict(zip(KEEP_SECONDS, rest.cost[0], strict=False))
    # The bin of the request, and 60 s; or all 201 bins.
    assert cost[60] == 13 * 5
    assert cost[3600] == 201 * 5


def test_unknown_before_the_first_choice():
    assert np.isnan(played([1, 0, 0]).keep_seconds()[0])


def test_short_regular_gaps_are_kept_through_and_long_ones_slept_through():
    gaps = [*session(36, requests=300), *session(1000, requests=100)] * 12
    assert 180 < chosen(played(gaps)) < 5000


def test_half_of_the_error_budget_is_left_to_the_number_of_replicas():
    # Asleep after each gap of 90 min: 12 of 800 requests are late, and a wake to come is feared.
    rest = played(session(1080, requests=800) * 12)
    assert chosen(rest) < 5400
    assert chosen(rest, np.array([0.025])) > 5400, "2.5 % would be enough for sleep alone"


def test_gaps_that_cannot_be_afforded_keep_it_awake():
    assert chosen(played(session(700, requests=14) * 12)) > 3500


def test_who_starts_within_the_allowed_wait_sleeps_soon():
    assert chosen(played(session(700, requests=14) * 12, FAST), about=FAST) == KEEP_SECONDS[0]


def test_smaller_promise_keeps_longer():
    gaps = session(36) * 8 + session(400) * 2 + session(1500)
    kept = [chosen(played(gaps * 3), np.array([limit])) for limit in (0.5, 0.2, 0.02)]
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]


def test_the_clock_wakes_it_where_earlier_days_were_busy():
    day = [*session(940, requests=20)] * 18
    ahead = np.zeros((len(day), 2, 1), dtype=np.float32)
    for begin in range(0, len(day), 960):
        ahead[max(begin - 18, 0) : begin + 6] = 1.0
    rest = played(day, days=ahead)
    assert chosen(rest) <= 120
    assert rest.is_woken(np.ones((2, 1)))[0]
    assert not rest.is_woken(np.zeros((2, 1)))[0]


def test_rows_do_not_touch_each_other():
    about = FigureColumns(np.array([[60.0, 1.0, 1.0, 0.5]] * 2), SHIPPED)
    both, alone = Sleep(2, SHIPPED), played(session(300) * 4)
    for step, count in enumerate(session(300) * 4):
        counts = np.array([count, 7.0 * (step % 3)])
        both.step(counts, np.zeros((2, 2)), about, step=step, age=np.full(2, step))
    assert both.cost[0] == pytest.approx(alone.cost[0])
    assert both.violated[0] == pytest.approx(alone.violated[0])
