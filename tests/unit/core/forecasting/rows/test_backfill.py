"""A past that is told later gives the row that watching would have given."""

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import DAY_BINS, HOUR_BINS, SHIPPED
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.quantiles.regression import uninformed
from modelfleet.core.forecasting.rows.backfill import (
    JUDGED_BINS,
    WHOLE_BINS,
    backfill,
    judged_at,
    recollect,
    weigh,
)
from modelfleet.core.forecasting.rows.transfer import place, set_clock, unseen

SERVICE = ModelFigures(60, 5, 8, 2)
CLOCK = 350_000_000


def lived(arrivals: np.ndarray) -> Policy:
    one = Policy(1, SHIPPED)
    set_clock(one, CLOCK - len(arrivals))
    one.adopt(0, SERVICE, uninformed())
    for count in arrivals:
        for row in one.due():
            one.learn(row, one.fit_of(row)())
        one.step(unseen(np.array([count], dtype=np.float32)))
    return one


def test_backfilled_row_goes_on_as_the_one_that_watched():
    arrivals = np.random.default_rng(2).poisson(30, 400).astype(np.float32)
    watched, other = lived(arrivals), Policy(4, SHIPPED)
    set_clock(other, CLOCK)
    place(other, [2], backfill(arrivals, SERVICE, uninformed(), CLOCK))
    for count in (20, 90, 400, 0, 0):
        first = watched.step(unseen(np.array([count], dtype=np.float32)))
        second = other.step(unseen(np.array([0, 0, count, 0], dtype=np.float32)))
        assert np.allclose(first.start[0], second.start[2], rtol=1e-5)
        assert first.up[0] == second.up[2]


def test_short_replay_has_the_same_windows_and_history():
    arrivals = np.random.default_rng(4).poisson(30, 2 * HOUR_BINS).astype(np.float32)
    whole = backfill(arrivals, SERVICE, uninformed(), CLOCK)
    short = backfill(arrivals, SERVICE, uninformed(), CLOCK, replayed_bins=100)
    assert (whole.histories[0].counts() == short.histories[0].counts()).all()
    for name in ("hour_mean", "highest_day"):
        assert np.allclose(getattr(whole.live, name)(), getattr(short.live, name)())


def test_unknown_bins_are_no_silence():
    arrivals = np.random.default_rng(4).poisson(30, 500).astype(np.float32)
    arrivals[:50] = arrivals[200:260] = np.nan
    block = backfill(arrivals, SERVICE, uninformed(), CLOCK)
    counts = block.histories[0].counts()
    assert len(counts) == 450, "the time before the first known bin was not lived"
    assert counts[150:210].min() > 20
    assert (block.steps, int(block.live.age[0])) == (CLOCK, 450)


def test_source_that_knows_nothing_gives_a_new_row():
    block = backfill(np.full(50, np.nan), SERVICE, uninformed(), CLOCK)
    assert (block.steps, int(block.live.age[0]), len(block.histories[0])) == (CLOCK, 0, 0)


def test_short_past_is_replayed_whole():
    arrivals = np.random.default_rng(2).poisson(30, 400).astype(np.float32)
    found = recollect(
        np.concatenate((np.full(3000, np.nan), arrivals)), SERVICE, uninformed(), 9999
    )
    whole = backfill(arrivals, SERVICE, uninformed(), 9999)
    assert (found.choice.violated == whole.choice.violated).all()
    assert judged_at(found, 0) is None
    assert WHOLE_BINS < JUDGED_BINS


def lived_a_day(recalled: int = -1) -> Policy:
    arrivals = np.random.default_rng(2).poisson(30, 2 * DAY_BINS).astype(np.float32)
    return recollect(arrivals, SERVICE, uninformed(), CLOCK, recalled=recalled)


@pytest.mark.long
def test_no_bold_dial_is_followed_before_the_queues_have_seen_a_day():
    block = lived_a_day()
    cautious = int(block.dials.cautious(np.array([0.9 * SERVICE.aim]))[0])
    assert judged_at(block, 0) == CLOCK + JUDGED_BINS
    for _ in range(HOUR_BINS + 5):
        wanted = block.step(unseen(np.array([30.0], dtype=np.float32)))
        assert wanted.dial[0] == cautious
    assert judged_at(block, 0) == CLOCK + JUDGED_BINS
    assert block.choice.requests[0] > 0
    assert int(lived_a_day(recalled=40).choice.chosen[0]) == 40


@pytest.mark.long
def test_without_the_wait_the_boldest_would_be_followed():
    """The negative control: an hour without a violation says nothing."""
    block = lived_a_day()
    block.choice._next[0] = 0
    wanted = block.step(unseen(np.array([30.0], dtype=np.float32)))
    assert block.dials.risk[wanted.dial[0]] > 0.1


@pytest.mark.long
def test_day_that_was_watched_stands_for_the_days_before():
    block = lived_a_day()
    age = int(block.live.age[0])
    block.live.age[0] = age + JUDGED_BINS
    block.choice.requests[0], block.choice.cost[0, 3] = 100_000.0, 50.0
    weigh(block, 0)
    per_day = block.choice.requests[0] / block._counted_seconds()[0] * 86_400
    assert np.isclose(per_day, 100_000, rtol=1e-6)
    factor = block._counted_seconds()[0] / 86_400
    assert factor > 1.7
    assert np.isclose(block.choice.cost[0, 3], 50 * factor, rtol=1e-6)


@pytest.mark.long
def test_filled_past_knows_the_daily_peak():
    day = np.full(DAY_BINS, 10.0, dtype=np.float32)
    day[3 * HOUR_BINS : 4 * HOUR_BINS] = 200.0
    rough = np.random.default_rng(1).poisson(np.tile(day, 4)).astype(np.float32)
    # Three days and nearly three hours: a minute before the busy hour of the fourth.
    until = 3 * DAY_BINS + 3 * HOUR_BINS - 12
    block = recollect(rough[:until], SERVICE, uninformed(), 20_000 * DAY_BINS + until)
    block.step(unseen(np.array([10.0], dtype=np.float32)))
    assert block.live.load[0] < 10
    assert block.live.days[0][0] > 70, "200 arrivals of 2 s in 5 s are 80 slots"
