"""Status of an MLModel: its present state. Written by the operator only.

Must never hold a value that changes under steady traffic: each change is a write to the API server.
"""

from typing import Annotated, Literal

from pydantic import Field

from modelfleet.api.base import ATOMIC, ApiObject, DnsName, Timestamp, map_list
from modelfleet.api.conditions import Condition
from modelfleet.api.uncounted import UncountedList


class RouteShare(ApiObject):
    """Share of the requests that one version gets."""

    version: DnsName
    """Name of the version."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Share in percent."""


class RouteHold(ApiObject):
    """Bounds on holding requests, copied from the spec."""

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
    """Most requests that one replica works on at once, copied from the spec."""


class RouteStatus(ApiObject):
    """Weights, waits and time-outs that every gateway must apply; complete without the spec."""

    revision: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64"})]
    """Number that grows with each change of the route."""
    weights: Annotated[
        list[RouteShare], Field(max_length=64, json_schema_extra=map_list("version"))
    ]
    """Weights of the versions; they sum to 100."""
    request_timeout_seconds: Annotated[int, Field(ge=1, le=3600)]
    """Longest silence of a replica before and within an answer."""
    hold: RouteHold
    """Bounds on holding requests."""
    overload: RouteOverload | None = None
    """Bounds on waiting behind other requests."""
    idempotent: bool
    """Whether a gateway may repeat a request whose replica died."""
    max_replay_bytes: Annotated[int, Field(ge=1024, le=67_108_864)]
    """Largest body that is kept for a repetition."""
    uncounted: UncountedList | None = None
    """Requests that do not count, copied from the spec."""
    upgrades: (
        Annotated[list[Literal["WebSocket"]], Field(max_length=1, json_schema_extra=ATOMIC)] | None
    ) = None
    """Protocols to which a client may upgrade, copied from the spec."""
    exposure: Literal["Cluster", "External"]
    """Listener of the gateways that accepts requests to the model."""
    confirmed: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Last revision that every gateway has acknowledged."""


WhyList = Annotated[
    list[Annotated[str, Field(max_length=512)]],
    Field(max_length=16, json_schema_extra=ATOMIC),
]


class ScalingStatus(ApiObject):
    """The last decision on replicas, with its reasons."""

    want: Annotated[int, Field(ge=0, le=100_000)]
    """Replicas that the model asks for, within the bounds."""
    granted: Annotated[int, Field(ge=0, le=100_000)]
    """Replicas that the operator gives the model."""
    ready: Annotated[int, Field(ge=0, le=100_000)]
    """Replicas that were ready when this was decided."""
    why: WhyList = Field(default_factory=list)
    """Reasons for this number, the deciding one first."""


class RolloutStatus(ApiObject):
    """The rollout under way."""

    strategy: Annotated[str, Field(min_length=1, max_length=32)]
    """Strategy in use."""
    step: Annotated[str, Field(min_length=1, max_length=32, pattern="^[A-Za-z]+$")]
    """Present step of the strategy."""
    why: Annotated[str, Field(max_length=512)]
    """Fact that the present step waits for, as a sentence."""
    start_time: Timestamp
    """Time at which the rollout began."""
    state: (
        Annotated[
            dict[
                Annotated[str, Field(max_length=63)],
                Annotated[str, Field(max_length=256)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None
    """State that the strategy needs at its next step; absent where it needs none."""


class VersionSummary(ApiObject):
    """One version in short."""

    name: DnsName
    """Name of the MLModelVersion."""
    digest: Annotated[str, Field(max_length=71)] | None = None
    """Digest of its artifact."""
    outcome: Literal["Candidate", "Stable", "Retired", "Rejected"]
    """Role of the version, or how it ended."""
    reason: Annotated[str, Field(max_length=256)] | None = None
    """Reason of the outcome Rejected."""


class MLModelStatus(ApiObject):
    """Present state of a model, written by the operator after each decision."""

    observed_generation: Annotated[int, Field(ge=-1, json_schema_extra={"format": "int64"})] = -1
    """Generation of the spec that this status belongs to; -1 before the first turn."""
    conditions: Annotated[
        list[Condition], Field(max_length=32, json_schema_extra=map_list("type"))
    ] = Field(default_factory=list)
    """Aspects of the model; without a fault or rollout, Ready and Available are True."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Address for clients in the cluster."""
    model: Annotated[str, Field(max_length=63)] | None = None
    """Your own name (`model.version`) of the stable version."""
    stable: DnsName | None = None
    """Version that owns the route."""
    candidate: DnsName | None = None
    """Version that a rollout brings in."""
    last_version: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Highest version number ever used; numbers are never reused."""
    route: RouteStatus | None = None
    """Weights, waits and time-outs that every gateway must apply."""
    replicas: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Replicas that the last decision gives the model, for `/scale`; pods may still start."""
    selector: Annotated[str, Field(max_length=256)] | None = None
    """Label selector of the replicas, for `/scale`."""
    scaling: ScalingStatus | None = None
    """The last decision on replicas."""
    rollout: RolloutStatus | None = None
    """The rollout under way; absent without one."""
    retained: DnsName | None = None
    """Former stable version that is kept warm for a quick return."""
    retained_until: Timestamp | None = None
    """Time at which `retained` loses its replicas."""
    versions: Annotated[
        list[VersionSummary], Field(max_length=10, json_schema_extra=map_list("name"))
    ] = Field(default_factory=list)
    """The newest versions."""
