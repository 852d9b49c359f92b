"""Learned concurrency: how many requests one replica can work on at once within the objective.

The gateways' answers are counted by levels of concurrency. `scaling.tick` keeps this evidence for
each model and sizes with the result; `memory.learned_file` keeps the evidence over a restart.
Measured latency must correct the assumed concurrency. Must never add replicas for latency that load
does not explain.
"""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelfleet.facts.scaling import CONCURRENCY_LEVELS, Bucket

WINDOW_SECONDS = 5.0
MEMORY_ANSWERS = 2000.0
"""Most answers that a level counts; older ones fade."""
MIN_ANSWERS = 60.0
FORGET_SECONDS = 86_400.0
"""Seconds after which a level without an answer has lost half of its evidence, and is tried again.
"""
STALL_WINDOWS, STALL_SECONDS = 2, 60.0
"""This many slow windows within this time may be a stall of the node, so they count as no load."""
RECALLED_ANSWERS = 4 * MIN_ANSWERS
"""Answers that a number from `status.learned` counts as; after two days it counts as none."""


@dataclass(frozen=True, slots=True)
class Level:
    """Answers at one concurrency, how many were slower than the objective, their summed seconds."""

    answers: float = 0.0
    slow: float = 0.0
    seconds: float = 0.0
    at: float = 0.0
    """Monotonic time of the last answer, in seconds."""

    def after(self, bucket: Bucket) -> "Level":
        """Return the level with the answers of one more window."""
        aged = self.aged(bucket.at)
        share = min(1.0, MEMORY_ANSWERS / (aged.answers + bucket.completions))
        return Level(
            (aged.answers + bucket.completions) * share,
            (aged.slow + bucket.slow) * share,
            (aged.seconds + bucket.service_seconds) * share,
            bucket.at,
        )

    def aged(self, now: float) -> "Level":
        """Return the level with the part of its evidence that is left at `now`."""
        share = 0.5 ** (max(now - self.at, 0.0) / FORGET_SECONDS)
        return Level(self.answers * share, self.slow * share, self.seconds * share, self.at)

    def keeps_objective(self, aim: float) -> bool | None:
        """Return True within the objective, False outside, None while the evidence does not decide.

        Undecided are fewer than MIN_ANSWERS answers and a share of slow ones too near to the
        objective. Worked example: 5 % may be slow, 400 answers: 20 slow ones are expected, with a
        standard deviation of 4.4. Up to 20 is within the objective, above 29 is outside.
        """
        if self.answers < MIN_ANSWERS:
            return None
        expected = aim * self.answers
        if self.slow <= expected:
            return True
        return None if self.slow <= expected + 2 * expected**0.5 else False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence of one model's answers, and the window that is open."""

    levels: tuple[Level, ...] = (Level(),) * len(CONCURRENCY_LEVELS)
    window: Bucket | None = None
    """Sum of the buckets of the open window; `in_flight` is its mean, in requests."""
    ready: int = 0
    """Replicas that worked during the last bucket; 0 where the number is not known."""
    settled_at: float = float("-inf")
    """Until this time, answers belong to requests that began with fewer or more replicas."""
    slow_at: tuple[float, ...] = ()
    """Times at which the last windows ended with more slow answers than the objective allows."""

    def after(self, bucket: Bucket, ready: int, aim: float) -> "Evidence":
        """Return the evidence with one more bucket, during which `ready` replicas worked.

        `aim` is the share of answers that may be slow. Requests pile up while a node stalls, so a
        stall looks like too many requests at once. Only slow windows that come again and again
        count. Worked example: 1 s without an answer makes one slow window, or two when it crosses
        their boundary: neither counts.
        """
        if ready <= 0 or bucket.held:
            # Held requests reach the replicas all at once: nothing can be learned from them.
            return replace(self, window=None)
        if self.ready not in {0, ready}:
            settled_at = bucket.at + _settling_seconds(bucket)
            return replace(self, window=None, ready=ready, settled_at=settled_at)
        if bucket.at < self.settled_at:
            return self
        window = bucket if self.window is None else _sum(self.window, bucket)
        if window.seconds < WINDOW_SECONDS or not window.completions:
            return replace(self, window=window, ready=ready)
        slow_at = self.slow_at
        if window.slow > aim * window.completions:
            lately = [at for at in slow_at if bucket.at - at < STALL_SECONDS]
            slow_at = (*slow_at, bucket.at)[-STALL_WINDOWS:]
            if len(lately) < STALL_WINDOWS:
                return replace(self, window=None, ready=ready, slow_at=slow_at)
        levels, index = list(self.levels), _level_index(window.in_flight / ready)
        levels[index] = levels[index].after(window)
        return replace(self, levels=tuple(levels), window=None, ready=ready, slow_at=slow_at)

    def boundary(self, aim: float, now: float) -> tuple[int, int]:
        """Return the indexes of the highest level within the objective and of the next one outside.

        -1 stands for no such level. A level outside below one within had another cause than load,
        so it is ignored.
        """
        results = [level.aged(now).keeps_objective(aim) for level in self.levels]
        good = max((i for i, result in enumerate(results) if result), default=-1)
        bad = next((i for i, result in enumerate(results) if result is False and i > good), -1)
        return good, bad


def learned_slots(evidence: Evidence, hint: int, aim: float, now: float, *, is_fixed: bool) -> int:
    """Return the concurrency that a replica is sized for, at least 1; `hint` without evidence.

    If no level was within the objective: half of the lowest one outside. Otherwise half-way, in
    levels, between the highest within and the lowest outside. Without a number from the user
    (`is_fixed` False), one level above the highest within is tried. Worked example: hint 8; 8 is
    outside: 4; then 4 is within: 6.
    """
    good, bad = evidence.boundary(aim, now)
    if bad < 0:
        can_rise = not is_fixed and good >= 0 and CONCURRENCY_LEVELS[good] >= hint
        return CONCURRENCY_LEVELS[min(good + 1, len(CONCURRENCY_LEVELS) - 1)] if can_rise else hint
    if bad == 0:
        return hint
    slots = (
        CONCURRENCY_LEVELS[_level_index(CONCURRENCY_LEVELS[bad] / 2)]
        if good < 0
        else CONCURRENCY_LEVELS[(good + bad) // 2]
    )
    return min(slots, hint) if is_fixed else slots


def lone_latency_seconds(evidence: Evidence, aim: float, now: float) -> float | None:
    """Return the mean latency of single requests in a replica, when even these break the objective.

    No number of replicas meets the objective then. None while the objective can be met, or without
    enough evidence.
    """
    if evidence.boundary(aim, now) != (-1, 0):
        return None
    alone = evidence.levels[0]
    return alone.seconds / alone.answers


def evidence_from_slots(slots: int, now: float) -> Evidence:
    """Return evidence from which `slots` follow, when this number is all that is known.

    The evidence has slow answers at twice that concurrency. Real answers are added and soon count
    for more. Worked example: 4 slots: 240 slow answers at 8, and half of 8 is 4.
    """
    levels, index = [Level()] * len(CONCURRENCY_LEVELS), _level_index(2 * slots)
    levels[index] = Level(RECALLED_ANSWERS, RECALLED_ANSWERS, 0.0, now)
    return Evidence(tuple(levels))


def as_table(evidence: Evidence, ahead: float) -> dict[str, list[float]]:
    """Return the numbers of each level with answers, for a file, with times moved by `ahead`."""
    return {
        str(concurrency): [level.answers, level.slow, level.seconds, level.at + ahead]
        for concurrency, level in zip(CONCURRENCY_LEVELS, evidence.levels, strict=True)
        if level.answers > 0
    }


def of_table(table: Mapping[str, Any], now: float, ahead: float) -> Evidence:
    """Return the evidence of an `as_table` result, with times moved back, at most `now`.

    Raises ValueError or TypeError for impossible numbers; levels that this release lacks are left
    out.
    """
    levels, rows = [Level()] * len(CONCURRENCY_LEVELS), dict(table)
    for index, concurrency in enumerate(CONCURRENCY_LEVELS):
        if str(concurrency) not in rows:
            continue
        answers, slow, seconds, at = (float(x) for x in rows[str(concurrency)])
        if not (math.isfinite(answers + seconds + at) and 0 <= slow <= answers and seconds >= 0):
            msg = f"answers with {concurrency} at once make no sense"
            raise ValueError(msg)
        levels[index] = Level(answers, slow, seconds, min(at - ahead, now))
    return Evidence(tuple(levels))


def _settling_seconds(bucket: Bucket) -> float:
    """Return the time until most requests under way have ended: twice their mean latency."""
    mean = bucket.service_seconds / bucket.completions if bucket.completions else 0.0
    return max(WINDOW_SECONDS, 2 * mean)


def _sum(first: Bucket, second: Bucket) -> Bucket:
    seconds = first.seconds + second.seconds
    flight = first.in_flight * first.seconds + second.in_flight * second.seconds
    return replace(
        second,
        seconds=seconds,
        arrivals=first.arrivals + second.arrivals,
        completions=first.completions + second.completions,
        service_seconds=first.service_seconds + second.service_seconds,
        in_flight=flight / seconds,
        slow=first.slow + second.slow,
    )


def _level_index(concurrency: float) -> int:
    """Return the index of the largest level that is at most a tenth above; 0 below one."""
    return max(0, bisect.bisect_right(CONCURRENCY_LEVELS, concurrency * 1.1) - 1)
