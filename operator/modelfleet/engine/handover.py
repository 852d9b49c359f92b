"""The two values that the turn of a model and the scaling pass give each other.

They meet in the `ledger` and know nothing else of one another.
"""

from dataclasses import dataclass

from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Ask, Grant, ScalingParams


@dataclass(slots=True)
class LastTurn:
    """From the turn to the scaling pass: bounds and replicas as the last turn saw them."""

    params: ScalingParams
    granted: int
    ready: int
    starting: int
    startup_seconds: float
    follows: bool = True
    """Whether replicas follow the grant; else it is only a recommendation."""
    starting_at: tuple[float, ...] = ()
    """Monotonic times of creation of the pods that are starting."""
    pods: tuple[str, ...] = ()
    """Names of the pods of all versions."""
    ready_pods: tuple[str, ...] = ()
    """Those in service."""
    stable: str = ""
    """Name of the stable version."""


@dataclass(slots=True)
class ScalingAnswer:
    """From the scaling pass to the turn: the newest decision on replicas, with its reasons."""

    ask: Ask | None = None
    grant: Grant | None = None
    readings: tuple[Reading, ...] = ()
    """The newest values of the model's signals."""
    lone_latency_seconds: float | None = None
    """Latency of a request that is alone, where even that breaks the objective."""
    overload: float | None = None
    """Requests per request that the replicas can answer, 1 where they can; None: not known yet."""
