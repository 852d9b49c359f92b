"""Generated traces have the property that they are named after."""

import numpy as np
import pytest

from modelfleet.simulate.generate import (
    calendar_bursts,
    flash_crowd,
    idle_fleet,
    seasons,
    steady,
    steps,
)

DAY_BINS = 17_280


def test_bursts_jump_at_the_same_minutes_every_day():
    counts = calendar_bursts(days=3).counts.reshape(3, DAY_BINS)
    at_eight = 8 * 720
    before = counts[:, at_eight - 120 : at_eight].mean(axis=1)
    after = counts[:, at_eight + 24 : at_eight + 120].mean(axis=1)
    assert ((after / before > 2.7) & (after / before < 5.5)).all()


def test_day_and_week():
    counts = seasons(days=7).counts.reshape(7, DAY_BINS)
    noon, night = counts[:, 10_000:11_500].mean(axis=1), counts[:, 1500:3000].mean(axis=1)
    assert (noon[:5] > 4 * night[:5]).all()
    assert counts[5:].mean() < 0.6 * counts[:5].mean()


def test_levels_hold_and_change_at_once():
    counts = steps(days=4).counts
    hours = counts[: len(counts) // 720 * 720].reshape(-1, 720).mean(axis=1)
    jumps = np.abs(np.diff(np.log(hours)))
    assert (jumps > 0.3).sum() >= 5
    assert np.median(jumps) < 0.1


def test_flash_comes_at_once_and_goes_slowly():
    counts = flash_crowd(days=1).counts / 5
    begin = 3 * DAY_BINS // 4
    assert counts[:begin].mean() == pytest.approx(5, rel=0.02)
    assert counts[begin : begin + 24].mean() == pytest.approx(60, rel=0.1)
    assert counts[begin + 348 : begin + 372].mean() == pytest.approx(5 + 55 / np.e, rel=0.15)


def test_fleet_sleeps_most_of_the_time():
    fleet = idle_fleet(models=30, days=1)
    assert len(fleet) == 30
    longest = [np.diff(t.moments, prepend=0, append=t.seconds).max() for t in fleet.values()]
    assert np.median(longest) > 3600
    assert all(len(t.moments) == len(t.work_seconds) for t in fleet.values())


@pytest.mark.parametrize("make", [calendar_bursts, seasons, steps, steady, flash_crowd])
def test_rates_are_modest_and_seeded(make):
    first, second, other = make(days=1), make(days=1), make(days=1, seed=2)
    assert (first.counts == second.counts).all()
    assert (first.counts != other.counts).any()
    assert 3 < first.counts.mean() / 5 < 20
