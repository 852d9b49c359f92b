"""What does not fit is refused before memory is asked for."""

import numpy as np
import pytest

from modelfleet.simulate.memory_limit import check_requests, check_slots
from modelfleet.simulate.trace import Trace, TraceError, never_falls


def trace(requests: float) -> Trace:
    return Trace("x", 100, 5.0, np.full(20, requests / 20))


def test_what_fits_is_not_refused():
    """The largest shipped trace with the three draws of the benchmark."""
    check_requests([trace(22_528_366)], "x", 3, is_rising=False)
    check_slots(16, 1000, 3)


@pytest.mark.parametrize(
    ("is_rising", "message"),
    [
        (True, r"sum\(x\): 97,000,000,000 requests do not fit; .* wrap it in rate\(...\)"),
        (False, r"--rate-times 0.0001\) or take a shorter piece"),
    ],
)
def test_too_many_requests_are_refused_with_a_way_out(is_rising, message):
    with pytest.raises(TraceError, match=message):
        check_requests([trace(97e9)], "sum(x)", 1, is_rising)


def test_every_draw_has_its_own_requests():
    check_requests([trace(60e6)], "x", 1, is_rising=False)
    with pytest.raises(TraceError, match=r"3 draws \(--seeds\) .* fewer --seeds"):
        check_requests([trace(60e6)], "x", 3, is_rising=False)


def test_fleets_are_told_what_they_can_do():
    """`--rate-times` does not go with `--fleet`."""
    with pytest.raises(TraceError, match=r"do not fit.*; take a shorter piece, or fewer models"):
        check_requests([trace(60e6)] * 2, "x", 1, is_rising=False)


def test_sums_beyond_all_numbers_are_refused():
    with pytest.raises(TraceError, match="do not fit"):
        check_requests([trace(float("inf"))], "x", 1, is_rising=False)


def test_too_many_slots_are_refused():
    with pytest.raises(ValueError, match=r"--slots 1,000,000: at most 49,975 fit"):
        check_slots(1_000_000, 1000, 1)


def test_a_counter_only_rises():
    assert never_falls(np.arange(10.0))
    assert not never_falls(np.ones(10))
    assert not never_falls(np.arange(9.0))
    assert not never_falls(np.r_[np.arange(10.0), 3])
