"""Words of the signals from Prometheus: what is to be read, what was read. Values only.

Specs come from `scaling.signal_status`, readings from `prometheus.signal_reader` through
`scaling.tick`. A value that is not known is None, never 0.
"""

from dataclasses import dataclass

from modelfleet.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """One number to follow. Exactly one of `query` and `metric` is set."""

    name: str
    target: float
    """Value that one replica carries, above 0."""
    query: str | None = None
    metric: str | None = None
    """Canonical name; see `signals.server_series`."""


@dataclass(frozen=True, slots=True)
class SignalFault:
    """Why a signal has no value, and what to do. The text must not hold what moves."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest that is known of a signal.

    `value` is the last good one while it is young enough to be believed. It may raise the number;
    only with `is_current` (the newest attempt gave it, of all replicas) may it lower it.
    """

    spec: SignalSpec
    value: float | None = None
    is_current: bool = False
    fault: SignalFault | None = None
    """Said in a condition; None while all is well, or while nothing is known yet."""
    is_known: bool = True
    """Whether anything is known of it: False before the first attempt."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is to be read for one model."""

    signals: tuple[SignalSpec, ...]
    pods: tuple[str, ...] = ()
    """Names of all its pods that may carry requests."""
    ready: tuple[str, ...] = ()
    """Those of them that must be heard of before the sum over them is whole."""
