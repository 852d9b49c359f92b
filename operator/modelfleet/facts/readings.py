"""Signals from Prometheus: specs and readings. Values only.

Specs come from `scaling.signal_status`. Readings come from `prometheus.signal_reader` through
`scaling.tick`. An unknown value is None, never 0.
"""

from dataclasses import dataclass

from modelfleet.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """One number to follow; exactly one of `query` and `metric` is set."""

    name: str
    target: float
    """Value for which one replica is enough, above 0."""
    query: str | None = None
    metric: str | None = None
    """Name of a canonical metric; see `signals.server_series`."""


@dataclass(frozen=True, slots=True)
class SignalFault:
    """Reason why a signal has no value, and what to do.

    Must never hold a text that changes on its own.
    """

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest reading of a signal.

    `value` is the last good one while it is young enough to use. A value may always raise the
    number of replicas. It may lower the number only with `is_current`: the newest attempt read it,
    for all replicas.
    """

    spec: SignalSpec
    value: float | None = None
    is_current: bool = False
    fault: SignalFault | None = None
    """Fault for the condition; None without a fault, or before the first attempt."""
    is_known: bool = True
    """Whether there was an attempt: False before the first."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Signals to read for one model."""

    signals: tuple[SignalSpec, ...]
    pods: tuple[str, ...] = ()
    """Names of all its pods that may get requests."""
    ready: tuple[str, ...] = ()
    """Those of `pods` without whose values the sum is incomplete."""
