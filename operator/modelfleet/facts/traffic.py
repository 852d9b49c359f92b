"""What the gateways saw and acknowledged, as values.

Made by `link.link_client` from the agents' streams (and by the simulator), read by the tick and by
`core`. Unknown is a value: an absent entry never becomes 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

LATENCY_BASE_MILLISECONDS = 0.1
LATENCY_GROWTH = 2**0.25
"""Bucket i holds latencies in (base * growth**(i-1), base * growth**i]; bucket 0 up to base."""
LATENCY_BUCKETS = 96
"""The last bucket (about 1.4e6 ms) also takes everything above."""

SERVICE_MEMORY_SECONDS = 600.0
"""Time constant with which service times are forgotten, in seconds with answers."""


def kept_share(length: float, answers: int) -> float:
    """What is left of sums over service times after `length` seconds with so many answers."""
    return math.exp(-length / SERVICE_MEMORY_SECONDS) if answers else 1.0


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """Answers of late and the seconds that they took, both forgetful sums."""

    seconds: float = 0.0
    answers: float = 0.0

    def after(self, length: float, seconds: float, answers: int) -> "AnswerTimes":
        """With `answers` more of `seconds` in all, which came in `length` seconds.

        Worked example: 10 answers of 0.1 s in each of 600 s: 3,800 are remembered, of 0.1 s.
        """
        kept = kept_share(length, answers)
        return AnswerTimes(kept * self.seconds + seconds, kept * self.answers + answers)

    @property
    def service_seconds(self) -> float | None:
        """Mean time of an answer; None before the first."""
        return self.seconds / self.answers if self.answers > 0 else None

    def plus(self, other: "AnswerTimes") -> "AnswerTimes":
        """Both together."""
        return AnswerTimes(self.seconds + other.seconds, self.answers + other.answers)


@dataclass(frozen=True, slots=True)
class RouteAcknowledgement:
    """What one gateway's Envoy has acknowledged for one model.

    `endpoints` holds, for each version of the route, the `ip:port` of the endpoints that are in
    effect in that Envoy (admitted and acknowledged), sorted.
    """

    uid: str
    revision: int
    content_hash: str
    endpoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionSample:
    """One version's traffic through one gateway in one bucket of time."""

    arrivals: int = 0
    completions: Mapping[str, int] = field(default_factory=dict)
    """By class: `2xx`, `3xx`, `4xx`, `5xx`, `reset`, `gone` (the client went away)."""
    service_seconds: float = 0.0
    """Sum over completions of the time from the last attempt's start to the end, hold excluded."""
    hold_seconds: float = 0.0
    """Sum over completions of the time parked before that attempt."""
    latency: Mapping[int, int] = field(default_factory=dict)
    """Sparse histogram of service time: bucket index to count, see LATENCY_*."""
    in_flight: int = 0
    """Requests begun and not ended at the end of the bucket, held ones excluded."""
    failed_attempts: int = 0
    """Attempts (by upstream host) that failed, also where a retry hid it from the client."""
    refused: int = 0
    """Requests answered with 503 because they would have waited too long; arrivals, too."""


@dataclass(frozen=True, slots=True)
class ModelSample:
    """One model's traffic through one gateway in one bucket; `held` is the number parked now."""

    versions: Mapping[str, VersionSample]
    held: int = 0
    pods_in_flight: Mapping[str, int] = field(default_factory=dict)
    """`ip:port` to requests in flight, only pods that have some or had some in this bucket."""


@dataclass(frozen=True, slots=True)
class GatewaySample:
    """All models' traffic through one gateway in one bucket that ended just now.

    `seconds` is the bucket's length. Models without traffic and without held requests are left
    out of `models` and mean zero: the gateway itself is known to be watching.
    """

    gateway: str
    seconds: float
    models: Mapping[str, ModelSample]
    """Key: `namespace/name` of the model."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Outcome of the admission probe of one endpoint at one gateway."""

    model: str
    version: str
    endpoint: str
    passed: bool
    reason: str = ""
