"""Throughput of the replicas of one version: how many requests may be under way.

`bounds.limits` has one for each version and adds one second of the gateway's traffic at a time.
Pure: `now` is an argument. Must never call replicas overloaded without evidence: a request that is
refused without need is lost.
"""

import math
from collections import deque
from dataclasses import dataclass, field

MIN_ANSWERS = 20
"""Least answers in the window for a throughput; a slow model gets a longer window."""
MIN_SECONDS, MAX_SECONDS = 2.0, 120.0
QUEUED = 2.0
"""Answers that take so many times as long as a lone request have waited for other requests."""
EVIDENT_SHARE = 0.25
"""Waits of this share of the allowed wait are evidence that the replicas work at their limit."""
CHANCE = 0.5
DUE_ANSWERS, STALL_SECONDS = 5.0, 3.0
"""A stall is so many seconds without an answer while so many answers were due. Shorter pauses are
normal."""
VALID_SECONDS = 600.0
"""For so many seconds a throughput that was measured under a queue stays valid."""
HALF_LIFE_SECONDS = 600.0
"""In so many seconds the stored least latency doubles: a model may become slower for good."""
SHARE = 0.85
"""Share of the allowed wait that the bound uses, so that changes from second to second stay within
it."""
STARTING_SHARE = 0.5
"""A starting replica serves only for the later part of the wait."""
MAX_REQUESTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Second:
    """Traffic of a version in about a second, as the gateway counted it.

    `answers` came from replicas and took `service_seconds` in all. `in_flight` is the number of
    requests under way at its end. `replicas` were ready.
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
    """Ready and starting replicas, for all gateways.

    `slots` is the number of requests that each replica works on at most; None: not given.
    """

    ready: int
    starting: int = 0
    slots: int | None = None
    gateways: int = 1


@dataclass(slots=True)
class Throughput:
    """Throughput and latencies of one version at this gateway."""

    recent: deque[Second] = field(default_factory=deque)
    alone_seconds: float | None = None
    """Time of a request that does not wait: the least mean of the last minutes."""
    least_seconds: float | None = None
    """The least mean time of the answers of one second. In a model that starts into an overload
    only the first requests did not wait."""
    best_rate: float = 0.0
    """The most answers per second and replica of the last minutes: a replica can do at least
    that."""
    rate: float | None = None
    """Answers per second and replica, measured under a queue: the capacity of a replica."""
    rate_at: float = float("-inf")
    unqueued: float = 0.0
    """Requests under way per replica with which no request waited."""
    short_at: float | None = None
    """Time at which the wait was last short."""
    is_queued: bool = False
    wait_seconds: float = 0.0

    def after(self, second: Second, waits: Waits, now: float) -> None:
        """Add one second."""
        self._append(second)
        if second.answers:
            mean = second.service_seconds / second.answers
            self.least_seconds = min(_grown(self.least_seconds, second.seconds), mean)
        answers = sum(part.answers for part in self.recent)
        took = sum(part.service_seconds for part in self.recent)
        if answers >= MIN_ANSWERS:
            self._measure_wait(took / answers, second.seconds)
            self._learn(answers, second, waits, now)
        else:
            self.is_queued = False
        is_short = not self.is_queued or self.wait_seconds < waits.lasting / 2
        if is_short or self.short_at is None:
            self.short_at = now

    def _append(self, second: Second) -> None:
        if second.answers:
            self._forget_stall()
        self.recent.append(second)
        answers = sum(part.answers for part in self.recent)
        seconds = sum(part.seconds for part in self.recent)
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

    def _measure_wait(self, mean: float, seconds: float) -> None:
        self.alone_seconds = min(_grown(self.alone_seconds, seconds), mean)
        self.wait_seconds = max(0.0, mean - self.alone_seconds)
        self.is_queued = mean > QUEUED * self.alone_seconds

    def _learn(self, answers: int, second: Second, waits: Waits, now: float) -> None:
        replica_seconds = sum(part.replicas * part.seconds for part in self.recent)
        if replica_seconds <= 0:
            return
        rate = answers / replica_seconds
        decay = 0.5 ** (second.seconds / HALF_LIFE_SECONDS)
        self.best_rate = max(decay * self.best_rate, rate)
        if self.is_queued and self.wait_seconds > EVIDENT_SHARE * waits.lasting:
            self.rate, self.rate_at = rate, now
        elif self.rate is not None:
            # Without waits a lower rate proves nothing: fewer requests may have come.
            self.rate = max(self.rate, rate)
        if second.replicas and not self.is_queued:
            self.unqueued = max(self.unqueued, second.in_flight / second.replicas)

    def _forget_stall(self) -> None:
        """Drop the seconds in which the replicas stood still, now that they answer again.

        A node that gives the replicas no time does not show how fast they are. Worked example: at
        10/s two seconds without an answer stay, and three do not.
        """
        silent: list[Second] = []
        for part in reversed(self.recent):
            if part.answers:
                break
            silent.append(part)
        due = self.best_rate * sum(part.replicas * part.seconds for part in silent)
        if sum(part.seconds for part in silent) >= STALL_SECONDS and due >= DUE_ANSWERS:
            for _ in silent:
                self.recent.pop()

    def bound_seconds(self, waits: Waits, now: float) -> float:
        """Return the longest wait that is allowed now, in seconds."""
        queued_for = 0.0 if self.short_at is None else now - self.short_at
        return waits.burst if queued_for <= waits.burst else waits.lasting

    def bound(self, waits: Waits, now: float, replicas: Replicas) -> int | None:
        """Return the number of requests that may be under way; None before a measurement.

        Request number n waits n / throughput (Little 1961), so n = throughput x allowed time. Half
        of its root is added, as small numbers differ by chance from gateway to gateway. Worked
        example: 50 answers/s and replica, 2 replicas, 5 s of wait and 0.1 s of work: 0.85 x 50 x 2
        x 5.1 = 434, and 10.
        """
        alone, slots = self.alone_seconds, replicas.slots
        if alone is None:
            return None
        if self.rate is not None and now - self.rate_at <= VALID_SECONDS:
            rate, least = self.rate, 1.0
        elif slots is not None and self.least_seconds:
            # The slots are for all gateways; the load through one alone may use them all.
            guess = slots / self.least_seconds / replicas.gateways
            rate, least = max(guess, self.best_rate), float(slots)
        else:
            return None
        serving = replicas.ready + STARTING_SHARE * replicas.starting
        number = SHARE * rate * serving * (self.bound_seconds(waits, now) + alone)
        number += CHANCE * math.sqrt(number)
        return min(
            MAX_REQUESTS, math.ceil(max(number, self.unqueued * serving, least * replicas.ready))
        )

    def certain_requests(self, waits: Waits, replicas: int) -> int:
        """Return the requests that a burst answers at the best rate without a queue."""
        return math.floor(self.best_rate * replicas * waits.burst)


def _grown(least: float | None, seconds: float) -> float:
    """Return a least time after `seconds` more; infinite before the first measurement."""
    return math.inf if least is None else least * 2 ** (seconds / HALF_LIFE_SECONDS)
