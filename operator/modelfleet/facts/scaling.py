"""Values of the autoscaler, from traffic through demand and ask to the grant."""

from dataclasses import dataclass, field

from modelfleet.facts.readings import Reading, SignalSpec

DEFAULT_WAIT_SECONDS = 1.0
LONGEST_WITHOUT_PROMISE_SECONDS = 3600.0


CONCURRENCY_LEVELS = (
    *(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64),
    *(96, 128, 192, 256, 384, 512, 768, 1024),
)
"""Levels of concurrency of a replica, each about 1.4 times the one below."""


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
    in_flight: float
    held: int
    slow: int = 0
    """Completions slower than the objective."""
    refused: int = 0
    """Arrivals that were refused because they would have waited too long."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Replicas that the policy derives from a model's own arrivals, newest bin.

    At least `up` replicas must be starting or ready now. Replicas above `hold` are not needed any
    more.
    """

    up: int
    hold: int
    why: str
    keep_alive_seconds: float | None = None
    """Seconds for which a replica stays after the last request, learned from gaps; None: not yet.
    """
    is_woken: bool = False
    """Whether earlier days had requests about a start-up time from now."""


@dataclass(frozen=True, slots=True)
class Window:
    """Recent buckets of a model, oldest first, with the other inputs of a signal.

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
    """None until the policy has counted the model's first answers."""
    readings: tuple[Reading, ...] = ()
    """Readings of the model's signals, in the order of the spec."""
    is_taking_over: bool = False
    """Whether this leader is in its takeover and found replicas that served before."""
    remembered_seconds: float | None = None
    """Mean time of an answer before this leader, from the gateways' memory; None without one."""

    @property
    def missing(self) -> str | None:
        """Unknown fact because of which no replica may be taken away; None while all are known."""
        if not self.is_complete:
            return "a gateway does not report; the last number is kept"
        unknown = [r.spec.name for r in self.readings if not r.is_current]
        if unknown:
            return f"signal '{unknown[0]}' has no value now; the last number is kept"
        return None

    @property
    def quiet_seconds(self) -> float:
        """Seconds since the last request, as far as this leader has watched."""
        busy = self._busy_at
        return self.now - busy[-1] if busy else self.observed_seconds

    @property
    def is_asleep(self) -> bool:
        """Whether no replica runs and no request came of late, as far as this leader has seen."""
        return self.ready + self.starting == 0 and not self._busy_at

    @property
    def _busy_at(self) -> list[float]:
        return [b.at for b in self.buckets if b.arrivals or b.in_flight or b.held]


@dataclass(frozen=True, slots=True)
class ScalingParams:
    """Bounds and settings of one model, from its spec and the operator's settings."""

    min_replicas: int
    max_replicas: int
    slots: int
    scale_down_seconds: float
    keep_alive_seconds: float
    latency_objective_seconds: float | None = None
    percentile: int = 95
    aim: float = 0.05
    """Share of the requests that may be slower than the objective."""
    wait_objective_seconds: float | None = None
    """Longest wait of a request for a free slot, if one is set."""
    learns_slots: bool = False
    """Whether slow answers may correct `slots`."""
    is_hint: bool = False
    """Whether the spec sets `slots`: then they are an upper bound."""
    signals: tuple[SignalSpec, ...] = ()
    """Numbers in Prometheus to follow beside the traffic."""
    bounds_why: tuple[str | None, str | None] = (None, None)
    """The schedules that set the minimum and the maximum; None where the spec's own bounds do."""

    def wait_seconds(self, service_seconds: float) -> float:
        """Return the seconds that a request may wait for a slot.

        This is the objective minus the request's own time, and at least a quarter of the objective;
        1 s without an objective. Worked example: objective 200 ms, 120 ms of work: 80 ms.
        """
        if self.wait_objective_seconds is not None:
            return self.wait_objective_seconds
        if self.latency_objective_seconds is None:
            return DEFAULT_WAIT_SECONDS
        left = self.latency_objective_seconds - service_seconds
        return max(left, self.latency_objective_seconds / 4)


def keep_alive_seconds(window: Window, params: ScalingParams) -> float:
    """Return the seconds for which one replica stays after the last request.

    The value is learned from gaps. Without an objective it is at most one hour. Worked example:
    learned to stay 4 hours, no objective: 3,600 s.
    """
    learned = window.forecast.keep_alive_seconds if window.forecast else None
    if learned is None:
        return params.keep_alive_seconds
    if params.latency_objective_seconds is None:
        return min(learned, LONGEST_WITHOUT_PROMISE_SECONDS)
    return learned


@dataclass(frozen=True, slots=True)
class Demand:
    """Replicas (a real number) that one signal asks for, and the reason.

    `keep`: replicas that the signal would not take away. It replaces the highest demand of the
    scale-down window where a signal has a better estimate.
    """

    replicas: float
    why: str
    keep: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Replicas that a model wants; at least `floor` are needed; `why[0]` is the deciding reason."""

    want: int
    floor: int
    ceiling: int
    why: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Grant:
    """Replicas that the operator gives a model, with the reasons, the deciding one first."""

    replicas: int
    why: tuple[str, ...] = field(default_factory=tuple)
