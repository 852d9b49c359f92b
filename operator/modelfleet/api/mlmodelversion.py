"""MLModelVersion: one immutable state of a model, with the pod template that serves it.

The operator creates it (`version.wanted_version`) and never edits it. A pod can be rebuilt from it
on another cluster. An operator upgrade never changes it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelfleet.api.base import (
    ApiObject,
    CatalogueName,
    DnsLabel,
    DnsName,
    Timestamp,
    map_list,
    named_in,
    validations,
)
from modelfleet.api.conditions import Condition

Hash = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9]+-[0-9a-f]{16}$")]


class AdmissionProbe(ApiObject):
    """Generated request that each replica must answer before it gets traffic."""

    protocol: Annotated[CatalogueName, Field(json_schema_extra=named_in("probes"))]
    """Kind of probe: a request made from the server's metadata, or its own gRPC health."""
    model: DnsName
    """Name under which the server offers the model."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """Longest wait for one answer; a late answer never keeps a replica out of traffic."""


class Artifact(ApiObject):
    """The artifact of the version."""

    uri: Annotated[str, Field(max_length=2048)]
    """Address from which the digest was determined."""
    digest: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
    """SHA-256 of the bytes; every pod checks it."""


class MLModelVersionSpec(ApiObject):
    """All inputs of a replica."""

    model: DnsName
    """Name of the MLModel."""
    number: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64"})]
    """Number of the version; never reused."""
    shape: Hash
    """Hash of the version-shaping fields and the digest; equal shape, equal version."""
    source: Hash
    """Hash of the same fields of the spec before the digest was determined."""
    artifact: Artifact | None = None
    """Artifact; absent when the image contains the model."""
    model_version: Annotated[str, Field(max_length=63)] | None = None
    """Your own name for this state of the model."""
    runtime: DnsLabel
    """Runtime of the version."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the server."""
    protocol: Literal["HTTP1", "H2C", "GRPC"]
    """Protocol on that port."""
    startup_seconds: Annotated[int, Field(ge=1, le=7200)]
    """Longest time from a new pod to a ready replica."""
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)]
    """Longest time for a leaving replica to finish a request."""
    probe: AdmissionProbe | None = None
    """Admission probe; absent where none can be generated or the spec switches it off."""
    template: Annotated[
        dict[str, Any],
        Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True, "type": "object"}),
    ]
    """Frozen pod template."""
    created_by: Annotated[str, Field(max_length=128)]
    """Release of modelfleet that built the template."""


class Learned(ApiObject):
    """Learned values of the autoscaler, rounded; a new leader without a memory file starts here."""

    format: Annotated[int, Field(ge=1, le=1000)]
    """Format of the coefficients; a reader ignores every other format."""
    time: Timestamp
    """Time of the last write: at most every six hours, and only after a real change."""
    service_milliseconds: Annotated[int, Field(ge=1, le=86_400_000)]
    """Service time of one request, within 5 %."""
    risk_per_million: Annotated[int, Field(ge=1, le=1_000_000)]
    """Risk of the chosen dial: probability, in millionths, that demand exceeds the forecast."""
    floor_percent: Annotated[int, Field(ge=1, le=100)]
    """Least share of the recent peak that the chosen dial keeps, in percent."""
    slots: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Learned concurrency of one replica; absent while it equals the spec's or default value."""
    coefficients: Annotated[str, Field(max_length=1280, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
    """Both forecasts, by feature and level: base64 of half floats, little-endian."""


class MLModelVersionStatus(ApiObject):
    """Outcome of the version, and what was learned from its replicas."""

    observed_generation: Annotated[int, Field(ge=-1, json_schema_extra={"format": "int64"})] = -1
    """Generation of the spec that this status belongs to; -1 before the first turn."""
    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=map_list("type"))
    ] = Field(default_factory=list)
    """Aspects of the version."""
    outcome: Literal["Candidate", "Stable", "Retired", "Rejected"] | None = None
    """Role of the version, or how it ended."""
    startup_milliseconds: Annotated[int, Field(ge=0, le=7_200_000)] | None = None
    """Learned time from a pod's creation to its first traffic, rounded to 100 ms."""
    image_id: Annotated[str, Field(max_length=256)] | None = None
    """Digest of the server's image with which the version became stable."""
    learned: Learned | None = None
    """Learned values of the autoscaler for this model's traffic."""


class MLModelVersion(ApiObject):
    """One immutable state of a model, with the pod template that serves it."""

    spec: Annotated[
        MLModelVersionSpec,
        Field(
            json_schema_extra=validations(
                ("self == oldSelf", "spec of a version must not change; edit the MLModel instead")
            )
        ),
    ]
    """Inputs of a replica; immutable."""
    status: MLModelVersionStatus = MLModelVersionStatus()
    """Outcome of the version."""


COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "Model", "type": "string", "jsonPath": ".spec.model"},
    {"name": "Name", "type": "string", "jsonPath": ".spec.modelVersion"},
    {"name": "Outcome", "type": "string", "jsonPath": ".status.outcome"},
    {"name": "Digest", "type": "string", "priority": 1, "jsonPath": ".spec.artifact.digest"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
