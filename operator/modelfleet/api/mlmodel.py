"""MLModel: the object by which a user asks for a model to be served. The first file to read.

`crds.structural` turns these classes into the CRD; `model.validation` checks what a schema cannot
express. A field whose behaviour does not exist yet is absent, never accepted and ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelfleet.api.base import (
    ATOMIC,
    ApiObject,
    CatalogueName,
    ConfigKey,
    DnsLabel,
    DnsName,
    LabelKey,
    LabelValue,
    Quantity,
    map_list,
    named_in,
    validations,
)
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.scaling_spec import SCALING_RULES, Scaling
from modelfleet.api.uncounted import UncountedList


class ModelSource(ApiObject):
    """Address of the artifact, and the digest that its bytes must have."""

    uri: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=2048,
                json_schema_extra=named_in("schemes"),
            ),
        ]
        | None
    ) = None
    """Address of the artifact; absent when the image contains the model (runtime `custom`)."""
    version: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Your own name for this state of the model, for the columns; another name makes a version."""
    digest: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Required SHA-256 of the artifact; if absent, it is determined once for each version."""
    format: Annotated[CatalogueName, Field(json_schema_extra=named_in("formats"))] | None = None
    """Format of the artifact; if absent, it follows from the ending of `uri`."""


class ConfigMapKey(ApiObject):
    """One key of a ConfigMap in the model's namespace."""

    name: DnsName
    """Name of the ConfigMap."""
    key: ConfigKey
    """Key in the ConfigMap."""


class SecretKey(ApiObject):
    """One key of a Secret in the model's namespace."""

    name: DnsName
    """Name of the Secret."""
    key: ConfigKey
    """Key in the Secret."""


class EnvValueSource(ApiObject):
    """Source of the value of an environment variable."""

    config_map_key_ref: ConfigMapKey | None = None
    """Key of a ConfigMap; its content is frozen into the version."""
    secret_key_ref: SecretKey | None = None
    """Key of a Secret; the pod gets a reference, never a copy."""


class EnvVariable(ApiObject):
    """An environment variable of the model server."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """Literal value."""
    value_from: (
        Annotated[
            EnvValueSource,
            Field(
                json_schema_extra=validations(
                    (
                        "has(self.configMapKeyRef) != has(self.secretKeyRef)",
                        "env.valueFrom must name exactly one of configMapKeyRef, secretKeyRef",
                    )
                )
            ),
        ]
        | None
    ) = None
    """Source of the value, instead of `value`."""


EnvList = Annotated[list[EnvVariable], Field(max_length=64, json_schema_extra=map_list("name"))]
ArgumentList = Annotated[
    list[Annotated[str, Field(max_length=4096)]],
    Field(max_length=64, json_schema_extra=ATOMIC),
]


class RuntimeSpec(ApiObject):
    """Runtime that serves the model, and settings of its container."""

    name: DnsLabel | None = None
    """Name of a runtime, or `custom`; if absent, it follows from `model.format`."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Container image; required by `custom`, otherwise instead of the runtime's own image."""
    command: ArgumentList | None = None
    """Entry point of the container; only for `custom`."""
    args: ArgumentList | None = None
    """Arguments; added to the runtime's own, or all arguments of `custom`."""
    env: EnvList | None = None
    """Environment variables of the container."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port on which the server listens; only for `custom` (8080)."""
    protocol: Literal["HTTP1", "H2C", "GRPC"] | None = None
    """Protocol on that port; only for `custom` (HTTP1). A GRPC server is asked for its health."""
    readiness_path: Annotated[str, Field(max_length=256, pattern=r"^/.*$")] | None = None
    """HTTP path that answers 200 once the model is loaded; only for `custom` (/)."""
    startup_seconds: Annotated[int, Field(ge=1, le=7200)] | None = None
    """Longest time from a new pod to a ready replica (600)."""
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Longest time for a leaving replica to finish a request (`traffic.requestTimeoutSeconds`)."""


class Toleration(ApiObject):
    """A taint that replicas tolerate, as in a pod."""

    key: LabelKey | None = None
    """Taint key; absent with operator Exists matches every taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """Comparison of `key` (Equal)."""
    value: LabelValue | None = None
    """Taint value for operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; absent matches every effect."""


class Placement(ApiObject):
    """Nodes on which replicas may run."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] | None = None
    """Labels that a node must have."""
    tolerations: (
        Annotated[list[Toleration], Field(max_length=16, json_schema_extra=ATOMIC)] | None
    ) = None
    """Taints that replicas tolerate."""


class Accelerator(ApiObject):
    """Accelerators of one replica."""

    count: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of `nvidia.com/gpu` of each replica."""


class Resources(ApiObject):
    """Resources of one replica; requests equal limits for memory and accelerators."""

    cpu: Quantity | None = None
    """CPU request, such as `500m` (250m)."""
    memory: Quantity | None = None
    """Memory request and limit, such as `1Gi` (512Mi)."""
    accelerator: Accelerator | None = None
    """Accelerators; absent means CPU only."""


class Objective(ApiObject):
    """Latency that you promise to clients, measured at the gateway without time on hold."""

    latency_milliseconds: Annotated[int, Field(ge=1, le=3_600_000)]
    """Longest latency of `percentile` percent of the answers."""
    percentile: Annotated[int, Field(ge=50, le=99)] = 95
    """Percentage of answers that must meet the latency."""


class ServiceOptions(ApiObject):
    """The Service with the model's name, by which clients in the cluster call the model."""

    create: bool = True
    """Whether modelfleet creates the Service (type ExternalName, to the gateway)."""


class TrafficSpec(ApiObject):
    """Treatment of requests to the model by the gateways."""

    request_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """Longest silence of a replica before or within an answer (504). Streams that flow go on."""
    idempotent: bool = True
    """Whether a request is sent once more when its replica breaks off or hangs."""
    max_replay_bytes: Annotated[int, Field(ge=1024, le=67_108_864)] = 4_194_304
    """Largest body that is kept for a repetition; a larger request cannot be held."""
    exposure: Literal["Cluster", "External"] | None = None
    """Clients that can reach the model: in the cluster, or also outside (operator's default)."""
    uncounted: UncountedList | None = None
    """Requests that never wake or hold a model and are no demand: 503 while no replica is ready."""
    upgrades: (
        Annotated[list[Literal["WebSocket"]], Field(max_length=1, json_schema_extra=ATOMIC)] | None
    ) = None
    """Protocols to which a client may upgrade a connection; all others get 403."""
    service: ServiceOptions = ServiceOptions()
    """The model's own Service."""


class Rollout(ApiObject):
    """Replacement of the stable version by a candidate."""

    strategy: Annotated[CatalogueName, Field(json_schema_extra=named_in("strategies"))] = "Rolling"
    """Rolling: the candidate's weight follows the share of its replicas that are in effect."""
    keep_warm_seconds: Annotated[int, Field(ge=0, le=604_800)] | None = None
    """Time for which the former version keeps its replicas (300; 0 with accelerators)."""
    history_limit: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of versions to keep; the stable, candidate and pinned ones are always kept."""


class Quality(ApiObject):
    """Checks of answers."""

    generated_probes: bool = True
    """Whether a replica gets traffic only once it answers a request made for it, or is healthy."""


class MLModelSpec(ApiObject):
    """Desired state of a model; every field except the model has a default."""

    model: ModelSource = ModelSource()
    """The artifact."""
    runtime: RuntimeSpec = RuntimeSpec()
    """Runtime that serves the artifact."""
    placement: Placement = Placement()
    """Nodes on which replicas may run."""
    resources: Resources = Resources()
    """Resources of one replica."""
    objective: Objective | None = None
    """Latency that you promise to clients; the autoscaler meets it with few replicas."""
    traffic: TrafficSpec = TrafficSpec()
    """Treatment of requests by the gateways."""
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Fixed replicas, from you or another autoscaler (`/scale`); modelfleet only recommends."""
    scaling: Annotated[
        Scaling,
        Field(json_schema_extra=validations(*SCALING_RULES)),
    ] = Scaling()
    """Bounds and sources of the autoscaler."""
    rollout: Rollout = Rollout()
    """Replacement of the stable version by a new one."""
    quality: Quality = Quality()
    """Checks of answers."""
    paused: bool = False
    """Whether rollouts stop; scaling and repairs continue."""
    version: DnsName | None = None
    """Existing version to serve, such as `digits-v3`, whatever the other fields ask for."""


_CUSTOM = "(has(self.runtime.name) && self.runtime.name == 'custom')"
_CUSTOM_ONLY = (
    "has(self.runtime.command) || has(self.runtime.port) || has(self.runtime.protocol)"
    " || has(self.runtime.readinessPath)"
)
SPEC_RULES = (
    (
        f"has(self.model.uri) || {_CUSTOM}",
        "model.uri must be set unless runtime.name is 'custom' and its image carries the model",
    ),
    (
        f"!{_CUSTOM} || has(self.runtime.image)",
        "runtime.image must be set when runtime.name is 'custom'",
    ),
    (
        f"{_CUSTOM} || !({_CUSTOM_ONLY})",
        "runtime.command, port, protocol, readinessPath must be left out unless name is 'custom'",
    ),
)


class MLModel(ApiObject):
    """A machine-learning model that modelfleet serves, scales and updates."""

    spec: Annotated[MLModelSpec, Field(json_schema_extra=validations(*SPEC_RULES))]
    """Desired state."""
    status: MLModelStatus = MLModelStatus()
    """Present state."""


NAME_RULES = (
    (
        "self.metadata.name.size() <= 50",
        "metadata.name must be at most 50 characters",
    ),
    (
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name must start with a letter and use only lower-case letters, digits and '-'",
    ),
    (
        "!self.metadata.name.matches('-v[0-9]+$')",
        "metadata.name must not end in -v<number>: such names belong to versions",
    ),
)

SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
"""Fields that `kubectl scale` and a HorizontalPodAutoscaler read and write."""

COLUMNS: tuple[dict[str, Any], ...] = (
    {
        "name": "Ready",
        "type": "string",
        "jsonPath": ".status.conditions[?(@.type=='Ready')].status",
    },
    {"name": "Version", "type": "string", "jsonPath": ".status.stable"},
    {"name": "Model", "type": "string", "jsonPath": ".status.model"},
    {"name": "Replicas", "type": "integer", "jsonPath": ".status.replicas"},
    {"name": "Want", "type": "integer", "jsonPath": ".status.scaling.want"},
    {
        "name": "Reason",
        "type": "string",
        "jsonPath": ".status.conditions[?(@.type=='Ready')].reason",
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
