"""Shadow queues: the backlog rule, start-up, hold, cancellation."""

from dataclasses import replace

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import SHIPPED, Tuning
from modelfleet.core.forecasting.dials.replay_queues import (
    FigureColumns,
    ReplayQueues,
    backlog_level,
)

TABLE = np.array([[20.0, 5.0, 2.0, 1.0]])
ABOUT = FigureColumns(TABLE, SHIPPED)
WORTH = np.array([4.0], dtype=np.float32)


def column(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


def drive(
    start: list[float], counts: float = 0.0, keep: float = 0.0
) -> tuple[ReplayQueues, list[float]]:
    """One model, one dial; ready replicas after each step."""
    shadow, ready = ReplayQueues(1, WORTH, SHIPPED), []
    for step, level in enumerate(start):
        shadow.serve(np.array([counts]), ABOUT, step)
        shadow.act(column(level), column(keep), column(counts / 5), ABOUT, step)
        ready.append(float(shadow.ready[0, 0]))
    return shadow, ready


def backlog(queue: float, rate: float, *worths: float) -> np.ndarray:
    """Slots for each worth of a violation, with five replicas ready and none on the way."""
    found = backlog_level(
        column(queue), column(rate), column(5), column(0), ABOUT, worth=column(*worths)
    )
    return found[0]


def test_backlog_example():
    assert backlog(40, 10.0, 4.0)[0] == pytest.approx(16.32, abs=0.01)


@pytest.mark.parametrize(("worth", "seconds"), [(1e-6, 20), (1e6, 4)])
def test_backlog_is_worked_off_within_bounds_whatever_it_is_worth(worth, seconds):
    assert backlog(40, 10.0, worth)[0] == pytest.approx(10 + 40 / seconds)


def test_dearer_violations_ask_for_more_slots():
    assert (np.diff(backlog(40, 10.0, 0.5, 4.0, 16.0)) > 0).all()


def test_backlog_that_will_be_gone_asks_for_nothing():
    assert backlog(40, 1.0, 4.0)[0] == 0
    assert backlog(11, 20.0, 4.0)[0] == 0, "in time"


def test_replicas_serve_one_start_up_after_the_order():
    _, ready = drive([4.0] * 6)
    assert ready == [0, 0, 0, 0, 2, 2]


def test_kept_for_one_start_up_after_the_last_need():
    _, ready = drive([4.0] * 5 + [0.0] * 6)
    assert ready[4:] == [2, 2, 2, 2, 0, 0, 0]


def test_newest_orders_are_taken_back_first():
    shadow, _ = drive([2.0, 8.0, 0.0, 0.0, 0.0])
    assert float(shadow.ready[0, 0] + shadow.pending[0, 0]) == 4, "held for a start-up time"
    drive_on = [0.0] * 3
    for step, level in enumerate(drive_on, start=5):
        shadow.serve(np.zeros(1), ABOUT, step)
        shadow.act(column(level), column(0), column(0), ABOUT, step)
    assert float(shadow.ready[0, 0] + shadow.pending[0, 0]) == 0
    assert float(shadow.ages[0, 0]) == 0


def test_requests_that_nobody_serves_are_violations():
    shadow, _ = drive([0.0], counts=50.0)
    assert float(shadow.violated[0, 0]) > 0


def test_enough_replicas_violate_nothing():
    shadow, _ = drive([12.0] * 20, counts=50.0)
    assert float(shadow.violated[0, 0]) == 0


def test_another_start_up_time_loses_no_replica():
    shadow, _ = drive([8.0, 8.0])
    shadow.serve(np.zeros(1), FigureColumns(np.array([[60.0, 5.0, 2.0, 1.0]]), SHIPPED), 2)
    assert float(shadow.ready[0, 0] + shadow.pending[0, 0]) == 4
    assert float(shadow.pending[0, 0]) == 0


def steady(rate: float, replicas: float, figures: tuple[float, ...], tuning: Tuning) -> float:
    """Share of a day of Poisson arrivals that waited too long."""
    about = FigureColumns(np.array([figures]), tuning)
    shadow, violated = ReplayQueues(1, WORTH, tuning), 0.0
    shadow.ready[:] = replicas
    counts = np.random.default_rng(7).poisson(5 * rate, 17_280)
    for step, count in enumerate(counts):
        shadow.serve(np.array([count]), about, step)
        violated += float(shadow.violated[0, 0])
    return violated / float(counts.sum())


@pytest.mark.long
@pytest.mark.parametrize(("replicas", "least", "most"), [(4, 0.02, 0.06), (5, 0.001, 0.005)])
def test_short_waits_are_broken_by_chance(replicas, least, most):
    figures = (60, 0.1, 4, 2)
    assert least < steady(5, replicas, figures, SHIPPED) < most
    fluid = steady(5, replicas, figures, replace(SHIPPED, has_chance=False))
    assert fluid < least, "the fluid alone"


def test_requests_shorter_than_a_second_are_not_all_there_at_once():
    share = steady(20, 2, (10, 0.08, 2, 0.1), SHIPPED)
    assert 0.02 < share < 0.06, "Erlang C: 3.5 %"
