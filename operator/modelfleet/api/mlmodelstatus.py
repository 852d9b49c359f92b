"""Status of an MLModel: what is so. Written by the operator only.

Nothing that moves under steady traffic may stand here: each change is a write to the API server.
"""

from typing import Annotated, Literal

from pydantic import Field

from modelfleet.api.base import ATOMIC, ApiObject, DnsName, Timestamp, map_list
from modelfleet.api.conditions import Condition


class RouteShare(ApiObject):
    """Share of one version."""

    version: DnsName
    """Name of the version."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Percent of the traffic."""


class RouteHold(ApiObject):
    """Bounds on parking, copied from the spec."""

    max_seconds: Annotated[int, Field(ge=1, le=600)]
    """Longest time on hold."""
    max_requests: Annotated[int, Field(ge=1, le=100_000)]
    """Most requests on hold in each gateway."""


class RouteOverload(ApiObject):
    """Bounds on waiting behind other requests, from the spec."""

    burst_wait_seconds: Annotated[int, Field(ge=1, le=600)]
    """Longest wait in a burst."""
    max_wait_seconds: Annotated[int, Field(ge=1, le=600)]
    """Longest wait while an overload lasts."""
    concurrency_per_replica: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Requests that one replica answers at once, copied from the spec."""


class RouteStatus(ApiObject):
    """What the gateways do for this model; self-contained, written by the operator."""

    revision: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64"})]
    """Counts up with each change of the route."""
    weights: Annotated[
        list[RouteShare], Field(max_length=64, json_schema_extra=map_list("version"))
    ]
    """Shares; they sum to 100."""
    request_timeout_seconds: Annotated[int, Field(ge=1, le=3600)]
    """Longest time for one answer."""
    hold: RouteHold
    """Bounds on parking."""
    overload: RouteOverload | None = None
    """Bounds on waiting behind other requests."""
    idempotent: bool
    """Whether a cut-off request may be replayed."""
    max_replay_bytes: Annotated[int, Field(ge=1024, le=67_108_864)]
    """Largest body that can be replayed."""
    exposure: Literal["Cluster", "External"]
    """Which listener carries the model."""
    confirmed: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Last revision that every gateway was known to have in effect."""


WhyList = Annotated[
    list[Annotated[str, Field(max_length=512)]],
    Field(max_length=16, json_schema_extra=ATOMIC),
]


class ScalingStatus(ApiObject):
    """The last decision on replicas, with its terms."""

    want: Annotated[int, Field(ge=0, le=100_000)]
    """Replicas that the demand asks for, within the bounds."""
    granted: Annotated[int, Field(ge=0, le=100_000)]
    """Replicas that the fleet gives."""
    ready: Annotated[int, Field(ge=0, le=100_000)]
    """Replicas that were ready at the decision."""
    why: WhyList = Field(default_factory=list)
    """The terms of the decision; the first one bound it."""


class RolloutStatus(ApiObject):
    """The rollout that moves now."""

    strategy: Literal["Rolling"]
    """Strategy in use."""
    step: Literal["Preparing", "Shifting", "Promoting", "Draining", "Retaining", "Superseding"]
    """Where it stands."""
    why: Annotated[str, Field(max_length=512)]
    """What it waits for."""
    start_time: Timestamp
    """When it began."""


class VersionSummary(ApiObject):
    """One line of the ledger."""

    name: DnsName
    """Name of the MLModelVersion."""
    digest: Annotated[str, Field(max_length=71)] | None = None
    """Digest of its artifact."""
    outcome: Literal["Candidate", "Stable", "Retired", "Rejected"]
    """What became of it."""
    reason: Annotated[str, Field(max_length=256)] | None = None
    """Why, where it was rejected."""


class MLModelStatus(ApiObject):
    """What is so. Written by the operator only, and only when something was decided."""

    observed_generation: Annotated[int, Field(ge=-1, json_schema_extra={"format": "int64"})] = -1
    """Generation of the spec that this status speaks of; -1 before the first visit."""
    conditions: Annotated[
        list[Condition], Field(max_length=32, json_schema_extra=map_list("type"))
    ] = Field(default_factory=list)
    """Claims about the model; at rest the good ones are True."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Address for clients in the cluster."""
    model: Annotated[str, Field(max_length=63)] | None = None
    """The user's name for the state of the model that serves."""
    stable: DnsName | None = None
    """Version that owns the route."""
    candidate: DnsName | None = None
    """Version that is being rolled out."""
    last_version: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Highest version number ever used; numbers are never reused."""
    route: RouteStatus | None = None
    """What the gateways do."""
    replicas: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Replicas of all versions at the last decision."""
    selector: Annotated[str, Field(max_length=256)] | None = None
    """Label selector of the replicas, for `/scale`."""
    scaling: ScalingStatus | None = None
    """The last decision on replicas."""
    rollout: RolloutStatus | None = None
    """The rollout that moves now; absent at rest."""
    retained: DnsName | None = None
    """Former stable version that is kept warm for a quick return."""
    retained_until: Timestamp | None = None
    """Until when `retained` is kept."""
    versions: Annotated[
        list[VersionSummary], Field(max_length=10, json_schema_extra=map_list("name"))
    ] = Field(default_factory=list)
    """The last few versions."""
