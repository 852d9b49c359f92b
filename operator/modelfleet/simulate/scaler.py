"""The seam between a world and whoever scales it: what may be known, what is asked back.

Implemented by the peers in `baselines` and by the shipped policy; called by `run`. Must never
carry anything that a controller in a cluster could not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at a service shows; counts are since the previous look.

    `service_seconds` is summed over the completions, without waiting. `slow` are the completions
    whose wait exceeded W. A queued request is held at the gateway because no slot is free.
    `busy_seconds` and `queued_seconds` are the integrals of in-flight and queued requests over
    time: divided by `seconds` they are the mean concurrencies.
    """

    now: float
    seconds: float
    arrivals: int
    completions: int
    service_seconds: float
    slow: int
    in_flight: int
    queued: int
    ready: int
    starting: int
    draining: int
    busy_seconds: float = 0.0
    queued_seconds: float = 0.0


class Scaler(Protocol):
    """Scales one service.

    Asked every `interval_seconds`. What it is shown is `delay_seconds` old when its answer acts:
    the age of metrics that were scraped, at most the interval. `wake_seconds`: while no replica
    exists, how long after a request came somebody (an activator, a proxy) starts one out of turn;
    None if nobody does. `memory_seconds`: how far back a silence at zero may still matter; longer
    ones are not ticked through.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def interval_seconds(self) -> float:
        """Time between two decisions."""
        ...

    @property
    def delay_seconds(self) -> float:
        """Age of what is seen when the answer acts."""
        ...

    @property
    def wake_seconds(self) -> float | None:
        """How fast the first request at zero starts a replica."""
        ...

    @property
    def memory_seconds(self) -> float:
        """Length of the longest window that is not kept by the clock."""
        ...

    def decide(self, seen: Observation) -> int:
        """Wanted replicas (ready and starting); the world applies it."""
        ...


class FleetScaler(Protocol):
    """Scales many services in one pass; observation i and answer i belong to world i."""

    @property
    def interval_seconds(self) -> float:
        """Time between two decisions."""
        ...

    def decide(self, seen: Sequence[Observation]) -> Sequence[int]:
        """Wanted replicas of each world."""
        ...
