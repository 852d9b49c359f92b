"""Plan: all that one turn will do for one model. The output of `model.decide`.

Applied by `model.turn` in the order of the fields; every step is idempotent, so a turn that was
cut anywhere is simply made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelfleet.api.mlmodelstatus import MLModelStatus


@dataclass(frozen=True, slots=True)
class Create:
    """POST of a whole object; on 409 its owner is looked at, a foreign one is never adopted."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Repair:
    """Server-side apply of the fields that we own, to the very object we looked at (`uid`)."""

    manifest: Mapping[str, Any]
    uid: str
    why: str


@dataclass(frozen=True, slots=True)
class PodService:
    """Take a pod out of its version's Service or put it back; lowest deletion cost when out."""

    name: str
    uid: str
    in_service: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """Set the replicas of a Deployment, only if it is still the one we looked at."""

    name: str
    uid: str
    resource_version: str
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object, only if it is still the one we looked at."""

    kind: Literal["Deployment", "Service", "Pod", "MLModelVersion"]
    name: str
    uid: str
    why: str


@dataclass(frozen=True, slots=True)
class VersionLearned:
    """Write what became of a version, and what was learned, into its status."""

    name: str
    outcome: str
    startup_milliseconds: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyLearned:
    """Write what the autoscaler has learned into the status of the very version we looked at."""

    name: str
    uid: str
    learned: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventFact:
    """An event for people; one of equal reason and message is not repeated for a while."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn does. An equal world gives an empty plan but for the status it already has."""

    status: MLModelStatus
    creates: tuple[Create, ...] = ()
    repairs: tuple[Repair, ...] = ()
    pods: tuple[PodService, ...] = ()
    scales: tuple[Scale, ...] = ()
    deletes: tuple[Delete, ...] = ()
    learned: tuple[VersionLearned, ...] = ()
    events: tuple[EventFact, ...] = ()
    causes: frozenset[str] = frozenset()
    """What stands in the way now; the engine measures how long each lasts."""
    look_again_seconds: float | None = None
    why: str = ""
    targets: Mapping[str, int] = field(default_factory=dict)
    """Replicas wanted for each version, for invariants and logs."""
