"""Rates are chosen from what was measured, and a wrong answer is no measurement."""

import json
import subprocess

import pytest

from tests import capacity
from tests.capacity import Capacity, TooSlowError


def test_a_fast_machine_is_asked_for_what_was_wanted():
    assert capacity.pace_for(1000, most_replicas=4, wanted=120) == 20
    assert capacity.high(Capacity(machine=1000, one=50), most_replicas=4, wanted=120) == 120


@pytest.mark.parametrize("machine", [30, 60, 120, 240, 480])
def test_a_slow_machine_has_a_rate_that_needs_more_than_one_replica(machine):
    pace = capacity.pace_for(machine, most_replicas=4, wanted=120)
    one = 1000 / pace
    rate = capacity.high(Capacity(machine=machine, one=one), most_replicas=4, wanted=120)
    assert one < rate <= 0.6 * 4 * one
    assert rate <= 0.35 * machine


def test_a_replica_as_strong_as_the_machine_cannot_be_made_too_few():
    with pytest.raises(TooSlowError, match="one replica carries 100"):
        capacity.high(Capacity(machine=200, one=100), most_replicas=4, wanted=120)


def test_the_generator_is_not_asked_for_more_than_it_can_send():
    found = Capacity(machine=1000, one=20, generator=100)
    assert capacity.high(found, most_replicas=4, wanted=120) == 35


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, {"failed": 3, "requests_per_second": 10}),
        (0, {"failed": 0, "requests_per_second": 0}),
        (2, {}),
    ],
)
def test_what_failed_is_no_measurement(monkeypatch, tmp_path, code, said):
    done = subprocess.CompletedProcess([], code, stdout=json.dumps(said), stderr="a wrong plan")
    monkeypatch.setattr(capacity.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(TooSlowError):
        capacity.measure({"url": "u"}, tmp_path)
