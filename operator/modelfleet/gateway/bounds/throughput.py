"""How fast the replicas of one version answer, and so how many requests may be under way.

Owned by `limits`, fed once a second with what the gateway saw. Pure but for the `now` it is given.
Must never call replicas overloaded without evidence: a request refused for nothing is lost.
"""

import math
from collections import deque
from dataclasses import dataclass, field

MIN_ANSWERS = 20
"""Answers in the window from which the throughput is read; a slow model gets a longer window."""
MIN_SECONDS, MAX_SECONDS = 2.0, 120.0
QUEUED = 2.0
"""Answers that take so many times what a request alone takes have waited for others."""
EVIDENT_SHARE = 0.25
"""Waits of this share of the bound are evidence that the replicas answer as fast as they can."""
CHANCE = 0.5
DUE_ANSWERS, STALL_SECONDS = 5.0, 3.0
"""A stall is so long without an answer where so many were due; shorter ones are a part of life."""
KNOWN_SECONDS = 600.0
"""How long a throughput that was seen under a queue is believed."""
HALF_LIFE_SECONDS = 600.0
"""In this time the least latency of late doubles: a model may become slower for good."""
SHARE = 0.85
"""Of the bound, so that what moves from second to second stays within it."""
STARTING_SHARE = 0.5
"""A replica that starts serves for the later part of the wait."""
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Second:
    """What the gateway saw of a version in about a second.

    `answers` came from replicas and took `service_seconds` in all; `in_flight` is the number of
    requests under way at its end; `replicas` were ready.
    """

    seconds: float
    answers: int = 0
    service_seconds: float = 0.0
    in_flight: int = 0
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Waits:
    """The longest waits that the spec allows, in seconds: in a burst, and in a lasting overload."""

    burst: float
    lasting: float


@dataclass(frozen=True, slots=True)
class Replicas:
    """Those that serve, and those that start, for all gateways.

    `slots` is how many requests each works on at most, None where nobody said it.
    """

    ready: int
    starting: int = 0
    slots: int | None = None
    gateways: int = 1


@dataclass(slots=True)
class Throughput:
    """What is known of one version at this gateway."""

    recent: deque[Second] = field(default_factory=deque)
    alone_seconds: float | None = None
    """Time of a request that does not wait: the least mean of late."""
    least_seconds: float | None = None
    """The least mean time of the answers of one second: of a model that starts into an overload
    only the first ones did not wait."""
    best_rate: float = 0.0
    """The most answers per second and replica of late: a replica can do at least that."""
    rate: float | None = None
    """Answers per second and replica that were seen under a queue: the capacity of a replica."""
    rate_at: float = float("-inf")
    easy: float = 0.0
    """Requests under way per replica that made nobody wait."""
    short_at: float | None = None
    """When the wait was last short."""
    is_queued: bool = False
    wait_seconds: float = 0.0

    def after(self, second: Second, waits: Waits, now: float) -> None:
        """One more second."""
        self._remember(second)
        if second.answers:
            mean = second.service_seconds / second.answers
            self.least_seconds = min(_grown(self.least_seconds, second.seconds), mean)
        answers = sum(one.answers for one in self.recent)
        took = sum(one.service_seconds for one in self.recent)
        if answers >= MIN_ANSWERS:
            self._judge(took / answers, second.seconds)
            self._learn(answers, second, waits, now)
        else:
            self.is_queued = False
        is_short = not self.is_queued or self.wait_seconds < waits.lasting / 2
        if is_short or self.short_at is None:
            self.short_at = now

    def _remember(self, second: Second) -> None:
        if second.answers:
            self._forget_stall()
        self.recent.append(second)
        answers = sum(one.answers for one in self.recent)
        seconds = sum(one.seconds for one in self.recent)
        while len(self.recent) > 1:
            first = self.recent[0]
            is_enough = (
                answers - first.answers >= MIN_ANSWERS and seconds - first.seconds >= MIN_SECONDS
            )
            if not is_enough and seconds <= MAX_SECONDS:
                return
            self.recent.popleft()
            answers -= first.answers
            seconds -= first.seconds

    def _judge(self, mean: float, seconds: float) -> None:
        self.alone_seconds = min(_grown(self.alone_seconds, seconds), mean)
        self.wait_seconds = max(0.0, mean - self.alone_seconds)
        self.is_queued = mean > QUEUED * self.alone_seconds

    def _learn(self, answers: int, second: Second, waits: Waits, now: float) -> None:
        replica_seconds = sum(one.replicas * one.seconds for one in self.recent)
        if replica_seconds <= 0:
            return
        rate = answers / replica_seconds
        kept = 0.5 ** (second.seconds / HALF_LIFE_SECONDS)
        self.best_rate = max(kept * self.best_rate, rate)
        if self.is_queued and self.wait_seconds > EVIDENT_SHARE * waits.lasting:
            self.rate, self.rate_at = rate, now
        elif self.rate is not None:
            # Slower than before proves nothing while nobody waits: fewer may have come.
            self.rate = max(self.rate, rate)
        if second.replicas and not self.is_queued:
            self.easy = max(self.easy, second.in_flight / second.replicas)

    def _forget_stall(self) -> None:
        """Drop the seconds in which the replicas stood still, now that they answer again.

        A node that has no time for them says nothing of how fast they are. Worked example: at
        10/s two seconds without an answer stay, and three do not.
        """
        silent: list[Second] = []
        for one in reversed(self.recent):
            if one.answers:
                break
            silent.append(one)
        due = self.best_rate * sum(one.replicas * one.seconds for one in silent)
        if sum(one.seconds for one in silent) >= STALL_SECONDS and due >= DUE_ANSWERS:
            for _ in silent:
                self.recent.pop()

    def bound_seconds(self, waits: Waits, now: float) -> float:
        """The longest wait that is allowed now."""
        queued_for = 0.0 if self.short_at is None else now - self.short_at
        return waits.burst if queued_for <= waits.burst else waits.lasting

    def most(self, waits: Waits, now: float, replicas: Replicas) -> int | None:
        """Requests that may be under way at once; None while nothing tells how many.

        Who comes as number n waits n / throughput (Little 1961), so n = throughput x allowed time,
        and half of its root more, as few requests differ by chance from gateway to gateway.
        Worked example: 50 answers/s and replica, 2 replicas, 5 s of wait and 0.1 s of work:
        0.85 x 50 x 2 x 5.1 = 434, and 10.
        """
        alone, slots = self.alone_seconds, replicas.slots
        if alone is None:
            return None
        if self.rate is not None and now - self.rate_at <= KNOWN_SECONDS:
            rate, least = self.rate, 1.0
        elif slots is not None and self.least_seconds:
            # What was said is of all gateways; through one alone may come enough to use it all.
            guess = slots / self.least_seconds / replicas.gateways
            rate, least = max(guess, self.best_rate), float(slots)
        else:
            return None
        serving = replicas.ready + STARTING_SHARE * replicas.starting
        number = SHARE * rate * serving * (self.bound_seconds(waits, now) + alone)
        number += CHANCE * math.sqrt(number)
        return min(MOST, math.ceil(max(number, self.easy * serving, least * replicas.ready)))

    def sure(self, waits: Waits, replicas: int) -> int:
        """Requests that are answered in a burst at the rate that was seen without a queue."""
        return math.floor(self.best_rate * replicas * waits.burst)


def _grown(known: float | None, seconds: float) -> float:
    """A least time after `seconds`, infinite before the first."""
    return math.inf if known is None else known * 2 ** (seconds / HALF_LIFE_SECONDS)
