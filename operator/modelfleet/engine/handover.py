"""Handover: the two values that the turn of a model and the scaling pass give each other.

Turn and scaling pass exchange them through the `ledger` and share nothing else.
"""

from dataclasses import dataclass, field

from modelfleet.facts.evidence import Evidences
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
    """Whether replicas follow the grant; otherwise the grant is only a recommendation."""
    starting_at: tuple[float, ...] = ()
    """Monotonic times at which the starting pods were created."""
    pods: tuple[str, ...] = ()
    """Names of the pods of all versions."""
    ready_pods: tuple[str, ...] = ()
    """Names of the pods that are ready and in service."""
    stable: str = ""
    """Name of the stable version."""
    candidate: str = ""
    """Name of the version that a rollout brings in; empty without one."""


@dataclass(slots=True)
class ScalingAnswer:
    """From the scaling pass to the turn: the newest decision on replicas, with its reasons."""

    ask: Ask | None = None
    grant: Grant | None = None
    readings: tuple[Reading, ...] = ()
    """The newest values of the model's signals."""
    lone_latency_seconds: float | None = None
    """Latency of a single request on an idle replica, where even that breaks the objective."""
    evidence: Evidences = field(default_factory=dict)
    """Requests by version since the candidate appeared; empty without a rollout."""
    overload: float | None = None
    """Arriving requests divided by the requests that the replicas can answer, at least 1. None:
    unknown yet."""
