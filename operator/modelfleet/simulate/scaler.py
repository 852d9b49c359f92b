"""Protocols between a world and its scaler: an observation in, a number of replicas out.

The peers in `baselines` and `shipped_scaler` implement the protocols; `run` calls them. Must never
carry a value that a controller in a cluster could not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Observation:
    """Values that one look at a service shows; counts begin at the previous look.

    `service_seconds` is the sum over the completions, without waits. `slow` counts the completions
    whose wait exceeded W. A queued request is at the gateway because no slot is free.
    `busy_seconds` and `queued_seconds` are the integrals of in-flight and queued requests over
    time. Divided by `seconds` they are the mean concurrencies.
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
    """Scaler of one service.

    `decide` is called every `interval_seconds`. Its observation is `delay_seconds` old when its
    answer acts: this is the age of scraped metrics, at most the interval. At zero replicas, a
    component such as an activator or a proxy starts one between two decisions. `wake_seconds` is
    its delay after the first request; None where no such component exists. `memory_seconds` is the
    longest silence at zero replicas that may still matter. The simulator skips the ticks of longer
    silences.
    """

    @property
    def name(self) -> str:
        """Name in tables and pictures."""
        ...

    @property
    def interval_seconds(self) -> float:
        """Seconds between two decisions."""
        ...

    @property
    def delay_seconds(self) -> float:
        """Age of the observation in seconds when the answer acts."""
        ...

    @property
    def wake_seconds(self) -> float | None:
        """Seconds until the first request at zero replicas starts one."""
        ...

    @property
    def memory_seconds(self) -> float:
        """Seconds of the longest window of past observations."""
        ...

    def decide(self, seen: Observation) -> int:
        """Return the wanted replicas (ready and starting); the world applies them."""
        ...


class FleetScaler(Protocol):
    """Scaler of many services in one pass; observation i and answer i belong to world i."""

    @property
    def interval_seconds(self) -> float:
        """Seconds between two decisions."""
        ...

    def decide(self, seen: Sequence[Observation]) -> Sequence[int]:
        """Return the wanted replicas of each world."""
        ...
