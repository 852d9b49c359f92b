"""Bounds of time follow the machine, and never fall below what they were."""

import pytest

from tests import speed, stack


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    speed.times.cache_clear()
    yield
    speed.times.cache_clear()


def test_a_machine_as_fast_as_the_reference_or_faster_has_the_bounds_as_they_are():
    assert speed.factor(1.0) == speed.factor(0.3) == 1.0


def test_a_slower_machine_gets_more_than_in_proportion():
    assert speed.factor(2.0) == 2.5


def test_the_machine_is_measured_once_and_the_number_handed_down(monkeypatch):
    monkeypatch.delenv(speed.VARIABLE, raising=False)
    taken = []
    monkeypatch.setattr(speed, "seconds", lambda: taken.append(1) or 2 * speed.REFERENCE_SECONDS)
    assert speed.patience(60) == 150
    speed.times.cache_clear()
    assert speed.patience(60) == 150
    assert len(taken) == 1


def test_a_wait_that_is_over_says_the_bound_of_this_machine(monkeypatch):
    monkeypatch.setenv(speed.VARIABLE, "1.02")
    with pytest.raises(TimeoutError, match=r"waited 0.0103 s for a miracle"):
        stack.wait("a miracle", lambda: None, 0.01, every=0.001)
