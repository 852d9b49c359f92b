"""Traffic and acknowledgements of the gateways, as values.

`link.link_client` makes them from the agents' streams, the simulator makes its own; the tick and
`core` read them. Unknown is a value: an absent entry never becomes 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

LATENCY_BASE_MILLISECONDS = 0.1
LATENCY_GROWTH = 2**0.25
"""Bucket i holds latencies in (base * growth**(i-1), base * growth**i]; bucket 0 up to base."""
LATENCY_BUCKETS = 96
"""The last bucket (about 1.4e6 ms) also counts everything above."""

SERVICE_MEMORY_SECONDS = 600.0
"""Time constant with which sums of service times fade, in seconds that have answers."""


def kept_share(length: float, answers: int) -> float:
    """Return the share of sums of service times that is left after `length` seconds.

    Sums fade only in seconds with answers.
    """
    return math.exp(-length / SERVICE_MEMORY_SECONDS) if answers else 1.0


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """Recent answers and the seconds that they took; both sums fade."""

    seconds: float = 0.0
    answers: float = 0.0

    def after(self, length: float, seconds: float, answers: int) -> "AnswerTimes":
        """Return the sums with `answers` more, of `seconds` in all, which came in `length` seconds.

        Worked example: 10 answers of 0.1 s in each of 600 s: 3,800 are counted, of 0.1 s.
        """
        share = kept_share(length, answers)
        return AnswerTimes(share * self.seconds + seconds, share * self.answers + answers)

    @property
    def service_seconds(self) -> float | None:
        """Mean time of an answer; None before the first."""
        return self.seconds / self.answers if self.answers > 0 else None

    def plus(self, other: "AnswerTimes") -> "AnswerTimes":
        """Return the sums of both."""
        return AnswerTimes(self.seconds + other.seconds, self.answers + other.answers)


@dataclass(frozen=True, slots=True)
class RouteAcknowledgement:
    """Route and endpoints of one model that one gateway's Envoy has acknowledged.

    `endpoints` holds, for each version of the route, the sorted `ip:port` of the endpoints that are
    in effect in that Envoy (admitted and acknowledged).
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
    """Sum over completions of the time on hold before that attempt."""
    latency: Mapping[int, int] = field(default_factory=dict)
    """Sparse histogram of service time: bucket index to count, see LATENCY_*."""
    in_flight: int = 0
    """Requests that have begun and not ended at the end of the bucket, held ones excluded."""
    failed_attempts: int = 0
    """Attempts (by upstream host) that failed, also if a retry succeeded for the client."""
    refused: int = 0
    """Arrivals answered with 503 because they would have waited too long."""


@dataclass(frozen=True, slots=True)
class ModelSample:
    """One model's traffic through one gateway in one bucket; `held` counts requests on hold now."""

    versions: Mapping[str, VersionSample]
    held: int = 0
    pods_in_flight: Mapping[str, int] = field(default_factory=dict)
    """`ip:port` to requests in flight, only pods that have some or had some in this bucket."""


@dataclass(frozen=True, slots=True)
class GatewaySample:
    """Traffic of all models through one gateway in one bucket that ended just now.

    `seconds` is the bucket's length. A model without traffic and held requests is left out of
    `models`: it counts as zero, because the gateway is known to watch it.
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
