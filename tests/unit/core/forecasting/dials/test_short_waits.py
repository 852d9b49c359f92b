"""Chance within a bin, beside Erlang's formula."""

import math

import numpy as np
import pytest

from modelfleet.core.forecasting.dials.short_waits import ShortWaits


def column(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


def chance(wait: float, service: float) -> ShortWaits:
    return ShortWaits(column(wait), column(service))


def erlang(slots: int, load: float, waits: float) -> float:
    """Share that waits longer than `waits` service times (Erlang C)."""
    blocked = 1.0
    for n in range(1, slots + 1):
        blocked = load * blocked / (n + load * blocked)
    delayed = blocked / (1 - load / slots * (1 - blocked))
    return delayed * math.exp(-(slots - load) * waits)


def late(one: ShortWaits, load: float, slots: float) -> float:
    """Share of those who meet `load` others."""
    itself = one._own[0, 0]
    return float(one.late(column(load + itself), column(slots))[0, 0])


def test_late_example():
    assert late(chance(0.01, 0.05), 10, 16) == pytest.approx(0.0157, abs=2e-4)
    assert erlang(16, 10, 0.2) == pytest.approx(0.0173, abs=2e-4)


def test_staffed_example():
    found = chance(0.01, 0.05).staffed(column(1), column(1), column(0.01))
    assert found[0, 0] == pytest.approx(4.2, abs=0.05)


@pytest.mark.parametrize("ratio", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("slots", [1, 2, 4, 8, 16, 64, 200])
def test_late_is_what_erlang_says_within_a_third(slots, ratio):
    one = chance(0.05 * ratio, 0.05)
    for load in np.linspace(0.3, 0.95, 14) * slots:
        expected = erlang(slots, load, ratio)
        if 0.01 < expected < 0.6:
            assert 0.66 < late(one, load, slots) / expected < 1.5, load


@pytest.mark.parametrize("ratio", [0.05, 0.2, 1.0])
def test_staffed_slots_keep_the_risk(ratio):
    one = chance(0.05 * ratio, 0.05)
    for load in (0.5, 1, 3, 10, 50, 300):
        for risk in (0.3, 0.1, 0.03, 0.01):
            slots = one.staffed(column(load), column(load), column(risk))[0, 0]
            assert erlang(math.ceil(slots), load, ratio) < 2 * risk, (load, risk)
            fewer = math.floor(slots * 0.8)
            assert fewer <= max(load, 4) or erlang(fewer, load, ratio) > risk / 2, "too many"


def test_waits_of_a_bin_are_left_to_the_fluid():
    one = chance(5, 6)
    assert not one.matters
    assert late(one, 10, 8) == 0
    assert one.staffed(column(7, 9), column(8), column(0.1, 0.01)).tolist() == [[7, 9]]


def test_lone_request_does_not_wait_for_itself():
    for service in (0.05, 0.5, 2.0, 20.0):
        assert late(chance(0.01, service), 0, 1) < 1e-3


def test_without_replicas_the_fluid_knows():
    assert late(chance(0.01, 0.05), 3, 0) == 0


def test_dearer_risk_and_higher_level_never_ask_for_less():
    one = chance(0.1, 0.5)
    levels = one.staffed(column(8, 8, 8), column(8), column(0.5, 0.1, 0.01))[0]
    assert (np.diff(levels) > 0).all()
    levels = one.staffed(column(*range(20)), column(8), column(0.1))[0]
    assert (np.diff(levels) > 0).all()


@pytest.mark.parametrize("load", [0.0, 1e-9, 1.0, 1e6, 1e12])
@pytest.mark.parametrize(("wait", "service"), [(0, 1e-4), (0, 1e4), (4.9, 1e-4), (1, 1e4)])
def test_strange_figures_stay_finite(load, wait, service):
    one = chance(wait, service)
    found = one.late(column(load), column(1, 1e9))
    assert ((found >= 0) & (found <= 1)).all()
    assert np.isfinite(one.staffed(column(load), column(load), column(0.9, 0.002))).all()
