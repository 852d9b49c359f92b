"""MLModelVersion: one immutable state of a model, with the pod template that serves it.

Made by the operator (`model.wanted_version`), never edited. A pod can be rebuilt from it on another
cluster; an operator upgrade never changes it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelfleet.api.base import (
    ApiObject,
    DnsLabel,
    DnsName,
    Timestamp,
    map_list,
    validations,
)
from modelfleet.api.conditions import Condition

Hash = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9]+-[0-9a-f]{16}$")]


class AdmissionProbe(ApiObject):
    """The generated request that each replica must answer before it takes traffic."""

    protocol: Literal["OpenInferenceV2"]
    """Protocol by which the request is generated from the server's own metadata."""
    model: DnsName
    """Name under which the server knows the model."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """Patience for one answer; running out of it never keeps a replica out."""


class Artifact(ApiObject):
    """The bytes of the model."""

    uri: Annotated[str, Field(max_length=2048)]
    """Where they were resolved from."""
    digest: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
    """What they are; verified by every pod."""


class MLModelVersionSpec(ApiObject):
    """Everything that shapes a replica."""

    model: DnsName
    """Name of the MLModel."""
    number: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64"})]
    """Number of the version; never reused."""
    shape: Hash
    """Hash of the version-shaping fields with the digest; equal shape, equal version."""
    source: Hash
    """Hash of the same fields of the spec before the digest was resolved."""
    artifact: Artifact | None = None
    """The model's bytes; absent when the image carries them."""
    model_version: Annotated[str, Field(max_length=63)] | None = None
    """The user's own name for this state of the model."""
    runtime: DnsLabel
    """Runtime it was built for."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the server."""
    protocol: Literal["HTTP1", "H2C", "GRPC"]
    """Protocol on that port."""
    startup_seconds: Annotated[int, Field(ge=1, le=7200)]
    """Longest time that loading may take."""
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)]
    """Longest time that a request may take to finish when a replica leaves."""
    probe: AdmissionProbe | None = None
    """Admission probe; absent where none can be generated or it is switched off."""
    template: Annotated[
        dict[str, Any],
        Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True, "type": "object"}),
    ]
    """The frozen pod template."""
    created_by: Annotated[str, Field(max_length=128)]
    """Release of modelfleet that built the template."""


class Learned(ApiObject):
    """What the autoscaler has learned, rounded: a new leader without a file begins with it."""

    format: Annotated[int, Field(ge=1, le=1000)]
    """Format of the coefficients; another one is ignored."""
    time: Timestamp
    """When it was written: at most every six hours, and only when it has really changed."""
    service_milliseconds: Annotated[int, Field(ge=1, le=86_400_000)]
    """Time of a slot that one request needs, within 5 %."""
    risk_per_million: Annotated[int, Field(ge=1, le=1_000_000)]
    """Risk that is taken of more demand than forecast, in millionths."""
    floor_percent: Annotated[int, Field(ge=1, le=100)]
    """Share of the recent peak that stays, in percent."""
    slots: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Requests at once that one replica answers in time; absent where that is what was said."""
    coefficients: Annotated[str, Field(max_length=1280, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
    """Of both forecasts: base64 of half floats, little-endian, forecast by feature by level."""


class MLModelVersionStatus(ApiObject):
    """What became of the version and what was learned from its replicas."""

    observed_generation: Annotated[int, Field(ge=-1, json_schema_extra={"format": "int64"})] = -1
    """Generation of the spec that this status speaks of; -1 before the first visit."""
    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=map_list("type"))
    ] = Field(default_factory=list)
    """Claims about the version."""
    outcome: Literal["Candidate", "Stable", "Retired", "Rejected"] | None = None
    """What became of it."""
    startup_milliseconds: Annotated[int, Field(ge=0, le=7_200_000)] | None = None
    """Learned: time from a pod's creation to its first traffic, rounded to 100 ms."""
    learned: Learned | None = None
    """Learned: how the autoscaler sees the model's traffic."""


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
    """What shapes a replica; immutable."""
    status: MLModelVersionStatus = MLModelVersionStatus()
    """What became of it."""


COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "Model", "type": "string", "jsonPath": ".spec.model"},
    {"name": "Name", "type": "string", "jsonPath": ".spec.modelVersion"},
    {"name": "Outcome", "type": "string", "jsonPath": ".status.outcome"},
    {"name": "Digest", "type": "string", "priority": 1, "jsonPath": ".spec.artifact.digest"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
