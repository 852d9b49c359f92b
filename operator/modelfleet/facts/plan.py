"""The plan: all writes of one turn for one model. The output of `model.decide`.

`engine.model.turn` applies it in the order of the fields. Every step is idempotent, so a turn that
was interrupted anywhere can be repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelfleet.api.mlmodelstatus import MLModelStatus


@dataclass(frozen=True, slots=True)
class Create:
    """POST of a whole object; on 409 its owner is compared: a foreign object is never adopted."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Repair:
    """Server-side apply of our own fields, only to the object with the observed `uid`."""

    manifest: Mapping[str, Any]
    uid: str
    why: str
    edition: str = ""
    """Edition of the object that was looked at."""


@dataclass(frozen=True, slots=True)
class PodService:
    """Take a pod out of its version's Service, or back; outside its deletion cost is lowest."""

    name: str
    uid: str
    in_service: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """Set the replicas of a Deployment, only if it is unchanged since it was observed."""

    name: str
    uid: str
    resource_version: str
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object, only if it is still the observed one."""

    kind: Literal["Deployment", "Service", "Pod", "MLModelVersion"]
    name: str
    uid: str
    why: str
    event: str = ""
    """Reason of the event that gives people `why`; empty without one."""


@dataclass(frozen=True, slots=True)
class VersionLearned:
    """Write a version's outcome, learned start-up time and image into its status."""

    name: str
    outcome: str
    startup_milliseconds: int | None = None
    image_id: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyLearned:
    """Write what the autoscaler has learned into the status of the version with this `uid`."""

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
    """The writes of a turn. An unchanged world gives an empty plan with the present status."""

    status: MLModelStatus
    creates: tuple[Create, ...] = ()
    repairs: tuple[Repair, ...] = ()
    pods: tuple[PodService, ...] = ()
    scales: tuple[Scale, ...] = ()
    deletes: tuple[Delete, ...] = ()
    learned: tuple[VersionLearned, ...] = ()
    events: tuple[EventFact, ...] = ()
    causes: frozenset[str] = frozenset()
    """Causes of the present obstacles; the engine measures how long each lasts."""
    look_again_seconds: float | None = None
    why: str = ""
    targets: Mapping[str, int] = field(default_factory=dict)
    """Replicas wanted for each version, for invariants and logs."""
