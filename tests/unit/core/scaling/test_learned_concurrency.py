"""Slots of a replica, learned from slow answers: worked examples and servers with a known limit."""

import numpy as np
import pytest

from modelfleet.core.scaling.learned_concurrency import (
    RECALLED_ANSWERS,
    Evidence,
    Level,
    as_table,
    evidence_from_slots,
    learned_slots,
    lone_latency_seconds,
    of_table,
)
from modelfleet.facts.scaling import CONCURRENCY_LEVELS, Bucket

AIM = 0.05


def bucket(at, in_flight, answers=100, slow=0, held=0):
    return Bucket(float(at), 1.0, answers, answers, answers * 0.2, in_flight, held, slow)


def shown(*windows, ready=1, start=0):
    """Evidence after 15 s, so three windows, of each: (requests under way, share of slow ones)."""
    return lived(Evidence(), *windows, ready=ready, start=start)


def lived(evidence, *windows, ready=1, start=0, seconds=15):
    at = start
    for in_flight, share in windows:
        for _ in range(seconds):
            at += 1
            evidence = evidence.after(bucket(at, in_flight, slow=round(100 * share)), ready, AIM)
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
    assert lone_latency_seconds(evidence, AIM, 100.0) == pytest.approx(0.2)
    assert slots(evidence) == 8
    assert lone_latency_seconds(shown((1, 0.9), (4, 0.0)), AIM, 100.0) is None
    assert lone_latency_seconds(Evidence(), AIM, 100.0) is None


def test_a_few_slow_answers_are_no_verdict():
    assert Level(400, 20).keeps_objective(AIM) is True
    assert Level(400, 28).keeps_objective(AIM) is None
    assert Level(400, 30).keeps_objective(AIM) is False
    assert Level(20, 20).keeps_objective(AIM) is None


def test_stall_of_the_node_blames_no_level():
    """5 ms requests, 50/s, and half a second without an answer: 2 at once and 10 % are slow."""
    calm = lived(Evidence(), (0.5, 0.0), seconds=60)
    stalled = lived(calm, (2, 0.1), start=60, seconds=10)
    assert slots(stalled) == slots(calm) == 8
    again = lived(stalled, (0.5, 0.0), start=70, seconds=60)
    again = lived(again, (2, 0.1), start=130, seconds=10)
    assert slots(again) == 8, "another one, a minute later"
    assert slots(lived(again, (2, 0.1), start=140, seconds=10)) == 1, "this one does not end"


def test_slow_windows_that_come_again_and_again_count():
    evidence = shown(*[(3, 0.0), (6, 0.3)] * 6)
    assert slots(evidence) == 4


def test_held_requests_teach_nothing():
    evidence = Evidence()
    for at in range(10):
        evidence = evidence.after(bucket(at, 8, slow=90, held=3), 1, AIM)
    assert slots(evidence) == 8


def test_slow_answers_of_requests_that_began_among_fewer_replicas_blame_no_level():
    """One replica had 13 at once; the third is ready, and what is under way ends slowly."""
    evidence = shown((13, 0.9))
    assert slots(evidence, hint=32) == 6
    for at in range(16, 21):
        evidence = evidence.after(bucket(at, 13, slow=60), 3, AIM)
    assert slots(evidence, hint=32) == 6
    for at in range(21, 50):
        evidence = evidence.after(bucket(at, 13), 3, AIM)
    assert slots(evidence, hint=32) == 6
    assert evidence.levels[3].answers > 0, "and then it learns again"


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
            evidence = evidence.after(bucket(at, together, slow=slow), 1, AIM)
    settled = np.array(seen[100:])
    assert (settled <= limit * 1.5).all()
    assert (settled >= limit / 2.1).all()
    assert len(set(settled.tolist())) <= 2


def test_levels_rise():
    assert list(CONCURRENCY_LEVELS) == sorted(set(CONCURRENCY_LEVELS))


def test_evidence_comes_back_from_a_file_with_its_times_on_another_clock():
    evidence = shown((8, 0.3), (4, 0.01))
    table = as_table(evidence, ahead=1e9)
    assert set(table) == {"4", "8"}
    found = of_table(table, now=5_000.0, ahead=1e9 - 4_000.0)
    assert slots(found, now=5_000.0) == slots(evidence) == 6
    moved = [level.at - old.at for level, old in zip(found.levels, evidence.levels, strict=True)]
    assert {move for move, level in zip(moved, found.levels, strict=True) if level.answers} == {4e3}


def test_file_from_a_clock_ahead_makes_nothing_newer_than_now():
    found = of_table({"8": [400, 30, 80.0, 1e9 + 50]}, now=100.0, ahead=1e9)
    assert found.levels[CONCURRENCY_LEVELS.index(8)].at == 50
    assert (
        of_table({"8": [400, 30, 80.0, 2e9]}, 100.0, 1e9).levels[CONCURRENCY_LEVELS.index(8)].at
        == 100
    )


def test_levels_of_another_release_are_left_out():
    assert of_table({"5": [400, 30, 80.0, 0.0]}, 0.0, 0.0) == Evidence()


@pytest.mark.parametrize(
    "row", [[1, 2, 0, 0], [-1, -1, 0, 0], [1, 0, -5, 0], [float("nan")] * 4, [1e400, 0, 0, 0], [1]]
)
def test_table_without_sense_is_refused(row):
    with pytest.raises(ValueError):
        of_table({"8": row}, 0.0, 0.0)


@pytest.mark.parametrize("known", [level for level in CONCURRENCY_LEVELS if level <= 512])
def test_recalled_slots_are_used_until_there_is_own_evidence(known):
    evidence = evidence_from_slots(known, 100.0)
    assert slots(evidence, hint=known, is_fixed=False) == known
    assert slots(evidence, hint=1000, is_fixed=True) == known
    assert lone_latency_seconds(evidence, AIM, 100.0) is None
    assert slots(evidence, hint=1000, now=100.0 + 3 * 86_400) == 1000, "it fades"


def test_own_evidence_says_more_than_a_recalled_number():
    def after(*windows):
        return slots(lived(evidence_from_slots(8, 0.0), *windows), hint=32)

    assert after((8, 0.3)) == 4
    assert after((8, 0.0)) == 12
    assert after(*[(16, 0.0)] * 7) == 32, "twice as many do not break the promise any more"
    assert RECALLED_ANSWERS < 2000
