"""How many requests one replica can work on at once within the latency objective.

Learned from what the gateways saw, by levels of concurrency; `scaling.tick` keeps the evidence of
each model and sizes with what it says, `memory.learned_file` keeps it over a restart. A model of
capacity that the measured latency contradicts must be corrected, never believed; and latency that
load does not explain must not buy replicas.
"""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelfleet.facts.scaling import CONCURRENCY_LEVELS, Bucket

WINDOW_SECONDS = 5.0
MEMORY_ANSWERS = 2000.0
"""A level remembers about so many answers."""
MIN_ANSWERS = 60.0
FORGET_SECONDS = 86_400.0
"""After a day without an answer a level has lost half of its evidence, and is tried again."""
STALL_WINDOWS, STALL_SECONDS = 2, 60.0
"""So many slow windows within such a time may be a stall of the node, which is no one's load."""
RECALLED_ANSWERS = 4 * MIN_ANSWERS
"""What only a status says counts as so many answers: it is forgotten after two days."""


@dataclass(frozen=True, slots=True)
class Level:
    """Answers at one concurrency, how many were slower than the objective, their summed time."""

    answers: float = 0.0
    slow: float = 0.0
    seconds: float = 0.0
    at: float = 0.0
    """When the last of them came."""

    def after(self, bucket: Bucket) -> "Level":
        """With the answers of one more window."""
        known = self.aged(bucket.at)
        kept = min(1.0, MEMORY_ANSWERS / (known.answers + bucket.completions))
        return Level(
            (known.answers + bucket.completions) * kept,
            (known.slow + bucket.slow) * kept,
            (known.seconds + bucket.service_seconds) * kept,
            bucket.at,
        )

    def aged(self, now: float) -> "Level":
        """What is left of it."""
        kept = 0.5 ** (max(now - self.at, 0.0) / FORGET_SECONDS)
        return Level(self.answers * kept, self.slow * kept, self.seconds * kept, self.at)

    def verdict(self, aim: float) -> bool | None:
        """True: within the promise; False: not; None: too few answers, or too near to say.

        Worked example: 5 % promised, 400 answers: 20 slow ones are expected, give or take 4.4.
        Up to 20 is within, above 29 is not.
        """
        if self.answers < MIN_ANSWERS:
            return None
        expected = aim * self.answers
        if self.slow <= expected:
            return True
        return None if self.slow <= expected + 2 * expected**0.5 else False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one model has shown, with the window that is open."""

    levels: tuple[Level, ...] = (Level(),) * len(CONCURRENCY_LEVELS)
    window: Bucket | None = None
    """Sum of the buckets of the open window; `in_flight` is its mean, in requests."""
    ready: int = 0
    """Replicas that worked during the last bucket; 0 where nobody knows."""
    settled_at: float = float("-inf")
    """Before, answers come of requests that began when fewer or more replicas worked."""
    slow_at: tuple[float, ...] = ()
    """When the last windows ended in which more answers were slow than promised."""

    def after(self, bucket: Bucket, ready: int, aim: float) -> "Evidence":
        """With one more bucket, during which `ready` replicas worked; `aim` may be slow.

        Requests pile up while a node stands still, so that a stall looks like too many at once.
        Only slow windows that come again and again are counted. Worked example: 1 s without an
        answer makes one slow window, or two where it lies between them: neither is counted.
        """
        if ready <= 0 or bucket.held:
            # What is parked comes all at once: nothing to learn from.
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
        levels, place = list(self.levels), _place(window.in_flight / ready)
        levels[place] = levels[place].after(window)
        return replace(self, levels=tuple(levels), window=None, ready=ready, slow_at=slow_at)

    def judged(self, aim: float, now: float) -> tuple[int, int]:
        """Places of the highest level within the promise and of the next one that is not.

        -1 where there is none.

        A level that breaks the promise below one that keeps it had another cause than load.
        """
        verdicts = [level.aged(now).verdict(aim) for level in self.levels]
        good = max((i for i, kept in enumerate(verdicts) if kept), default=-1)
        bad = next((i for i, kept in enumerate(verdicts) if kept is False and i > good), -1)
        return good, bad


def learned_slots(evidence: Evidence, hint: int, aim: float, now: float, *, is_fixed: bool) -> int:
    """Requests at once that a replica is counted for, from 1; `hint` without evidence.

    Half of what broke the promise, then half-way (in levels) between the highest that kept it and
    the lowest that broke it. Without a hint of the user (`is_fixed` False) one level more than
    kept it is tried. Worked example: hint 8; 8 breaks the promise: 4; 4 keeps it: 6.
    """
    good, bad = evidence.judged(aim, now)
    if bad < 0:
        can_rise = not is_fixed and good >= 0 and CONCURRENCY_LEVELS[good] >= hint
        return CONCURRENCY_LEVELS[min(good + 1, len(CONCURRENCY_LEVELS) - 1)] if can_rise else hint
    if bad == 0:
        return hint
    found = (
        CONCURRENCY_LEVELS[_place(CONCURRENCY_LEVELS[bad] / 2)]
        if good < 0
        else CONCURRENCY_LEVELS[(good + bad) // 2]
    )
    return min(found, hint) if is_fixed else found


def lone_latency_seconds(evidence: Evidence, aim: float, now: float) -> float | None:
    """Mean latency of requests that are alone in a replica and break the promise even so.

    None while the objective can be met, or nobody knows. No size meets it then.
    """
    if evidence.judged(aim, now) != (-1, 0):
        return None
    alone = evidence.levels[0]
    return alone.seconds / alone.answers


def recalled(slots: int, now: float) -> Evidence:
    """Evidence from which `slots` follow, where the number is all that is known.

    As if twice as many had broken the promise: what is really seen is added to it, and soon counts
    for more. Worked example: 4 slots: 240 slow answers at 8, and half of 8 is 4.
    """
    levels, place = [Level()] * len(CONCURRENCY_LEVELS), _place(2 * slots)
    levels[place] = Level(RECALLED_ANSWERS, RECALLED_ANSWERS, 0.0, now)
    return Evidence(tuple(levels))


def as_table(evidence: Evidence, ahead: float) -> dict[str, list[float]]:
    """What a file can hold: of each level with answers its numbers, times moved by `ahead`."""
    return {
        str(together): [level.answers, level.slow, level.seconds, level.at + ahead]
        for together, level in zip(CONCURRENCY_LEVELS, evidence.levels, strict=True)
        if level.answers > 0
    }


def of_table(table: Mapping[str, Any], now: float, ahead: float) -> Evidence:
    """What `as_table` has given, with times moved back, none of them after `now`.

    ValueError or TypeError for what makes no sense; levels that this release does not know are
    left out.
    """
    levels, rows = [Level()] * len(CONCURRENCY_LEVELS), dict(table)
    for place, together in enumerate(CONCURRENCY_LEVELS):
        if str(together) not in rows:
            continue
        answers, slow, seconds, at = (float(x) for x in rows[str(together)])
        if not (math.isfinite(answers + seconds + at) and 0 <= slow <= answers and seconds >= 0):
            msg = f"answers with {together} at once make no sense"
            raise ValueError(msg)
        levels[place] = Level(answers, slow, seconds, min(at - ahead, now))
    return Evidence(tuple(levels))


def _settling_seconds(bucket: Bucket) -> float:
    """Until most requests that are under way have ended: twice their mean latency."""
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


def _place(together: float) -> int:
    """Index of the largest level that is at most a tenth above `together`; 0 below one."""
    return max(0, bisect.bisect_right(CONCURRENCY_LEVELS, together * 1.1) - 1)
