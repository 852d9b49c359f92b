"""Words of the autoscaler: demand, ask, grant. Values only."""

from dataclasses import dataclass, field

DEFAULT_WAIT_SECONDS = 1.0


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
class Forecast:
    """What the policy makes of a model's own history, newest step.

    At least `up` replicas must be on the way now; those above `hold` are not needed any more.
    """

    up: int
    hold: int
    why: str


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
    forecast: Forecast | None = None
    """None until the policy has seen the model's first answers."""

    @property
    def quiet_seconds(self) -> float:
        """Time since the last request, as far as this leader has watched."""
        busy = [b.at for b in self.buckets if b.arrivals or b.in_flight or b.held]
        return self.now - busy[-1] if busy else self.observed_seconds


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
    aim: float = 0.05
    """Share of the requests that may be slower than the objective."""

    @property
    def wait_seconds(self) -> float:
        """How long a request may wait: the latency objective, 1 s without one."""
        return self.latency_objective_seconds or DEFAULT_WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class Demand:
    """What one signal asks for: replicas (a real number) and the reason.

    `keep`: replicas that it would not take away, where it knows that better than the newest
    demands of the scale-down window.
    """

    replicas: float
    why: str
    keep: float | None = None


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
