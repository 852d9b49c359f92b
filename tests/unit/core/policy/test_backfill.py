"""A past that is told later gives the row that watching would have given."""

import numpy as np

from modelfleet.core.policy.backfill import backfill
from modelfleet.core.policy.fleet import Fleet
from modelfleet.core.policy.forecast import uninformed
from modelfleet.core.policy.memory import place, set_clock, unseen
from modelfleet.core.policy.service import Service
from modelfleet.core.policy.tuning import HOUR_BINS, SHIPPED

SERVICE = Service(60, 5, 8, 2)
CLOCK = 350_000_000


def lived(arrivals: np.ndarray) -> Fleet:
    one = Fleet(1, SHIPPED)
    set_clock(one, CLOCK - len(arrivals))
    one.adopt(0, SERVICE, uninformed())
    for count in arrivals:
        for row in one.due():
            one.learn(row, one.fit_of(row)())
        one.step(unseen(np.array([count], dtype=np.float32)))
    return one


def test_backfilled_row_goes_on_as_the_one_that_watched():
    arrivals = np.random.default_rng(2).poisson(30, 400).astype(np.float32)
    watched, other = lived(arrivals), Fleet(4, SHIPPED)
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
        assert np.allclose(getattr(whole.present, name)(), getattr(short.present, name)())


def test_unknown_bins_are_no_silence():
    arrivals = np.random.default_rng(4).poisson(30, 500).astype(np.float32)
    arrivals[:50] = arrivals[200:260] = np.nan
    block = backfill(arrivals, SERVICE, uninformed(), CLOCK)
    counts = block.histories[0].counts()
    assert len(counts) == 450, "the time before the first known bin was not lived"
    assert counts[150:210].min() > 20
    assert (block.steps, int(block.present.age[0])) == (CLOCK, 450)


def test_source_that_knows_nothing_gives_a_new_row():
    block = backfill(np.full(50, np.nan), SERVICE, uninformed(), CLOCK)
    assert (block.steps, int(block.present.age[0]), len(block.histories[0])) == (CLOCK, 0, 0)
