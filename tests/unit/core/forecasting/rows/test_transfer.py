"""Rows that move between fleets go on as if nothing had happened."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.core.forecasting.constants import DAY_BINS, HOUR_BINS, SHIPPED, Tuning
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Bin, Policy, PolicyOutput
from modelfleet.core.forecasting.quantiles.regression import uninformed
from modelfleet.core.forecasting.rows.encoding import arrays_of, block_of, layout
from modelfleet.core.forecasting.rows.transfer import (
    TABLES,
    carry_on,
    parts,
    place,
    set_clock,
    skip,
    taken,
)

SERVICES = (
    ModelFigures(60, 5, 8, 2),
    ModelFigures(10, 1, 1, 0.05, 0.05),
    ModelFigures(180, 5, 16, 20),
)
CLOCK = 350_000_123
COMPARED = ("up", "hold", "load", "start", "keep", "floor", "cap", "backlog", "dial")


def fleet(size: int = 3) -> Policy:
    made = Policy(size, SHIPPED)
    set_clock(made, CLOCK)
    for row, service in enumerate(SERVICES):
        made.adopt(row, service, uninformed())
    return made


def step(one: Policy, rows: list[int], arrivals: np.ndarray) -> PolicyOutput:
    """All traffic facts of the given rows; the others see nothing."""
    columns = np.zeros((7, one.size), dtype=np.float32)
    facts = (arrivals, arrivals / 10, 3 + arrivals / 50, 1, 7, arrivals, arrivals / 40)
    for column, fact in zip(columns, facts, strict=True):
        column[rows] = fact
    return one.step(Bin(*columns))


def assert_same(
    first: PolicyOutput, rows: list[int], second: PolicyOutput, others: list[int]
) -> None:
    for name in COMPARED:
        one, other = getattr(first, name)[rows], getattr(second, name)[others]
        assert np.allclose(one, other, rtol=1e-5, atol=1e-5), name


def carried(one: Policy, rows: list[int], size: int, places: list[int]) -> Policy:
    """The rows as a file would hold them, in a new fleet."""
    other = Policy(size, SHIPPED)
    set_clock(other, one.steps)
    place(other, places, block_of(arrays_of(taken(one, rows)), SHIPPED))
    return other


@pytest.mark.long
@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 150), st.permutations([0, 2, 5]), st.booleans())
def test_restored_rows_step_as_those_that_never_stopped(seed, before, places, is_fitted):
    rng, one, rows = np.random.default_rng(seed), fleet(), [0, 1, 2]
    for arrivals in rng.poisson([30, 400, 5], (before, 3)):
        step(one, rows, arrivals)
    if is_fitted:
        one.learn(1, one.fit_of(1)())
    other = carried(one, rows, 7, places)
    for arrivals in rng.poisson([60, 100, 9], (60, 3)):
        assert_same(step(one, rows, arrivals), rows, step(other, places, arrivals), places)


@settings(max_examples=10)
@given(st.lists(st.sampled_from(["step", "carry", "grow", "clear"]), max_size=25), st.integers(0))
def test_any_order_of_growing_clearing_and_carrying_is_invisible(acts, seed):
    rng, one, other = np.random.default_rng(seed), fleet(4), fleet(4)
    for act in acts:
        if act == "carry":
            used = [row for row in range(3) if other.figures[row] is not None]
            other = carried(other, used, other.size, used) if used else other
        elif act == "grow":
            other.grow(other.size + 2)
        elif act == "clear":
            one.clear(0)
            other.clear(0)
        for arrivals in rng.poisson(40, (5, 3)):
            rows = [0, 1, 2]
            assert_same(step(one, rows, arrivals), [1, 2], step(other, rows, arrivals), [1, 2])


def test_fits_come_when_they_would_have_come():
    one = fleet()
    for arrivals in np.random.default_rng(3).poisson(20, (241, 3)):
        step(one, [0, 1, 2], arrivals)
    other = carried(one, [0, 1, 2], 3, [0, 1, 2])
    assert other.due() == one.due() == [0, 1, 2]
    assert (other.fit_of(2)().start == one.fit_of(2)().start).all()


def test_row_of_another_bin_is_refused():
    block = taken(fleet(), [0])
    set_clock(block, CLOCK + 1)
    with pytest.raises(ValueError, match="does not fit"):
        place(fleet(), [0], block)


def test_layout_follows_the_dials():
    assert layout(SHIPPED) == layout(SHIPPED)
    assert layout(SHIPPED) != layout(Tuning(floors=(0.4, 0.8)))


def test_arrays_of_another_shape_are_refused():
    arrays = arrays_of(taken(fleet(), [0, 1]))
    for name in ("present._blocks", "history.kinds", "services"):
        with pytest.raises(ValueError, match="not"):
            block_of({**arrays, name: arrays[name][..., :1]}, SHIPPED)
    with pytest.raises(KeyError):
        block_of({k: v for k, v in arrays.items() if k != "choice.cost"}, SHIPPED)


@pytest.mark.parametrize("gap", [1, 37, HOUR_BINS + 500])
def test_gap_keeps_clock_pace_and_shares(gap):
    one = fleet()
    rng = np.random.default_rng(9)
    for arrivals in rng.poisson([30, 400, 2], (HOUR_BINS + 100, 3)):
        step(one, [0, 1, 2], arrivals)
    share = one.choice.violated + one.choice._hour
    share = share / one.choice.requests[:, None]
    rate = one.choice.requests / one._counted_seconds()
    lived, chosen = one.choice.ended.sum(), one.choice.chosen.copy()
    length, hour = len(one.histories[0]), one.live.hour_mean().copy()
    carry_on(one, gap)
    assert (one.steps, one.live.bins) == (CLOCK + HOUR_BINS + 100 + gap,) * 2
    assert len(one.histories[0]) == length + gap
    filled = one.histories[1].counts()[-gap:]
    assert filled.min() >= 370
    assert filled.max() <= 440
    assert np.allclose(one.live.hour_mean(), hour, rtol=0.1)
    after = (one.choice.violated + one.choice._hour) / one.choice.requests[:, None]
    assert np.allclose(after, share, rtol=0.02, atol=1e-4)
    assert np.allclose(one.choice.requests / one._counted_seconds(), rate, rtol=0.02)
    assert one.choice.ended.sum() == lived
    assert (one.choice.chosen == chosen).all()


def test_profile_stays_on_the_wall_clock_over_a_gap():
    """Ten minutes of traffic at the same time of each day; five hours before it are a gap."""
    one = fleet()
    of_day = np.arange(2 * DAY_BINS) % DAY_BINS
    traffic = np.where((of_day >= 12_000) & (of_day < 12_120), 500, 20).astype(np.float32)
    by_model = np.repeat(traffic[:, None], 3, axis=1)
    begin, end = DAY_BINS + 6_000, DAY_BINS + 9_600
    skip(one, by_model[:begin])
    carry_on(one, end - begin)
    skip(one, by_model[end : DAY_BINS + 11_960])
    assert one.live.days[0][0] < 30, "a start-up and a minute before, nothing is expected"
    skip(one, by_model[DAY_BINS + 11_960 : DAY_BINS + 11_999])
    assert one.live.days[0][0] > 150, "the burst of yesterday begins within a start-up"


def test_nothing_that_a_row_knows_is_left_behind():
    """A new array with a row for each model must be named in AXES or TABLES, or be derived."""
    size = 113
    one = Policy(size, SHIPPED)
    derived = {"_weight", "_boxes", "_idle"}
    for owner, named in (
        (one, {*TABLES, *derived}),
        *((part, set(part.AXES)) for part in parts(one).values()),
    ):
        arrays = {
            name: value for name, value in vars(owner).items() if isinstance(value, np.ndarray)
        }
        assert {name for name, value in arrays.items() if size in value.shape} == named, owner
