"""Words of the autoscaler: demand, ask, grant. Values only."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bucket:
    """One second of one model's traffic, summed over all gateways.

    `at` is the receiver's monotonic time in seconds; `service_seconds` is summed over the
    completions of the bucket.
    """

    at: float
    seconds: float
    arrivals: int
    completions: int
    service_seconds: float
    in_flight: int
    held: int
    slow: int = 0
    """Completions slower than the objective."""


@dataclass(frozen=True, slots=True)
class Window:
    """Recent buckets of a model, oldest first, with what else a signal may need.

    `observed_seconds` is how long this leader has watched all gateways without a gap.
    """

    buckets: tuple[Bucket, ...]
    now: float
    observed_seconds: float
    ready: int
    starting: int
    startup_seconds: float
    service_seconds: float | None = None
    """Learned mean service time of one request; None before the first answer."""
    is_complete: bool = True
    """Whether every gateway reports."""


@dataclass(frozen=True, slots=True)
class ScalingParams:
    """Bounds and hints of one model, from its spec and the settings."""

    min_replicas: int
    max_replicas: int
    slots: int
    scale_down_seconds: float
    keep_alive_seconds: float
    latency_objective_seconds: float | None = None
    percentile: int = 95


@dataclass(frozen=True, slots=True)
class Demand:
    """What one signal asks for: replicas (a real number) and the reason."""

    replicas: float
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Replicas that a model wants. `floor` is needed at least; `why[0]` bound the number."""

    want: int
    floor: int
    ceiling: int
    why: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Grant:
    """Replicas that the fleet gives a model, with the reasons, the binding one first."""

    replicas: int
    why: tuple[str, ...] = field(default_factory=tuple)
