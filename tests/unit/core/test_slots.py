"""Slots of a replica, learned from slow answers: worked examples and servers with a known limit."""

import numpy as np
import pytest

from modelfleet.core.slots import LEVELS, Evidence, Level, floor_seconds, learned_slots
from modelfleet.facts.scaling import Bucket

AIM = 0.05


def bucket(at, in_flight, answers=100, slow=0, held=0):
    return Bucket(float(at), 1.0, answers, answers, answers * 0.2, in_flight, held, slow)


def shown(*windows, ready=1, start=0):
    """Evidence after windows of 5 s: (requests under way, share of slow answers)."""
    evidence, at = Evidence(), start
    for in_flight, share in windows:
        for _ in range(5):
            at += 1
            evidence = evidence.after(bucket(at, in_flight, slow=round(100 * share)), ready)
    return evidence


def slots(evidence, hint=8, now=100.0, is_fixed=True):
    return learned_slots(evidence, hint, AIM, now, is_fixed=is_fixed)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], 8),
        ([(8, 0.01)], 8),
        ([(8, 0.30)], 4),
        ([(8, 0.30), (4, 0.01)], 6),
        ([(8, 0.30), (4, 0.01), (6, 0.01)], 6),
        ([(8, 0.30), (4, 0.20)], 2),
        ([(8, 0.30), (4, 0.01), (6, 0.20)], 4),
        # Slow while nearly idle, and in time under load: not the load.
        ([(1, 0.30), (8, 0.01)], 8),
    ],
)
def test_worked_examples(windows, expected):
    assert slots(shown(*windows)) == expected


def test_counts_are_by_replica():
    assert slots(shown((32, 0.3), ready=4)) == 4


def test_without_a_hint_of_the_user_more_is_tried():
    assert slots(shown((8, 0.0)), is_fixed=False) == 12
    assert slots(shown((8, 0.0)), is_fixed=True) == 8


def test_alone_and_still_slow_is_unreachable_and_changes_no_size():
    evidence = shown((1, 0.9), (4, 0.95))
    assert floor_seconds(evidence, AIM, 100.0) == pytest.approx(0.2)
    assert slots(evidence) == 8
    assert floor_seconds(shown((1, 0.9), (4, 0.0)), AIM, 100.0) is None
    assert floor_seconds(Evidence(), AIM, 100.0) is None


def test_a_few_slow_answers_are_no_verdict():
    assert Level(400, 20).verdict(AIM) is True
    assert Level(400, 28).verdict(AIM) is None
    assert Level(400, 30).verdict(AIM) is False
    assert Level(20, 20).verdict(AIM) is None


def test_held_requests_teach_nothing():
    evidence = Evidence()
    for at in range(10):
        evidence = evidence.after(bucket(at, 8, slow=90, held=3), 1)
    assert slots(evidence) == 8


def test_evidence_fades_so_that_a_faster_server_is_noticed():
    evidence = shown((8, 0.3))
    assert slots(evidence) == 4
    assert slots(evidence, now=5 * 86_400.0) == 8


@pytest.mark.parametrize("limit", [2, 3, 6, 12])
def test_finds_the_limit_of_a_server_and_stays_within(limit):
    """Answers are slow above `limit` at once; load follows the slots that are believed in."""
    chance, evidence, seen, at = np.random.default_rng(limit), Evidence(), [], 0
    for _ in range(200):
        now = slots(evidence, hint=16, now=at)
        seen.append(now)
        for _ in range(5):
            at += 1
            together = min(now, chance.poisson(now * 0.9))
            share = 0.4 if together > limit else 0.01
            slow = chance.binomial(100, share)
            evidence = evidence.after(bucket(at, together, slow=slow), 1)
    settled = np.array(seen[100:])
    assert (settled <= limit * 1.5).all()
    assert (settled >= limit / 2.1).all()
    assert len(set(settled.tolist())) <= 2


def test_levels_rise():
    assert list(LEVELS) == sorted(set(LEVELS))
