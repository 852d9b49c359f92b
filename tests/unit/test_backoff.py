"""Pauses double, stay below a bound, are spread, and follow what a server asks for."""

import pytest

from modelfleet.backoff import LONGEST_ASKED_SECONDS, LONGEST_SECONDS, Backoff
from modelfleet.errors import Transient


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(chance=lambda: 1.0)
    pauses = [backoff.next_seconds() for _ in range(2000)]
    assert pauses[:6] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0])
    assert max(pauses) == LONGEST_SECONDS


def test_jitter_takes_up_to_half():
    assert Backoff(chance=lambda: 0.0).next_seconds() == pytest.approx(0.1)


def test_time_that_the_server_asks_for_is_waited_within_reason():
    backoff = Backoff()
    assert backoff.next_seconds(Transient("429", retry_after=7.0)) == 7.0
    assert backoff.next_seconds(Transient("429", retry_after=1e6)) == LONGEST_ASKED_SECONDS
    assert backoff.next_seconds(Transient("429", retry_after=0.001)) > 0.1


def test_success_begins_anew():
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(9):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() == pytest.approx(0.2)
