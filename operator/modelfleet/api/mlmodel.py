"""MLModel: what the user wants served. The first file to read.

The generator `crds.structural` turns these classes into the CRD; `model.validation` looks at what a
schema cannot. Fields whose behaviour does not exist yet are absent, never accepted and ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelfleet.api.base import (
    ATOMIC,
    ApiObject,
    ConfigKey,
    DnsLabel,
    DnsName,
    LabelKey,
    LabelValue,
    Quantity,
    map_list,
    validations,
)
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.scaling_spec import SCALING_RULES, Scaling


class ModelSource(ApiObject):
    """Where the model's bytes come from, and which bytes they must be."""

    uri: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=2048,
                json_schema_extra=validations(
                    (
                        "self.startsWith('https://') || self.startsWith('http://')",
                        "model.uri must start with https:// or http://",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """Address of the artifact; absent when the image carries the model (runtime `custom`)."""
    version: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Your own name for this state of the model; shown in the columns, never interpreted."""
    digest: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Pin: the artifact must have this SHA-256. Without it the digest is resolved once."""
    format: Literal["onnx"] | None = None
    """Format of the artifact; chosen from the ending of `uri` when absent."""


class ConfigMapKey(ApiObject):
    """One key of a ConfigMap in the model's namespace."""

    name: DnsName
    """Name of the ConfigMap."""
    key: ConfigKey
    """Key in it."""


class SecretKey(ApiObject):
    """One key of a Secret in the model's namespace."""

    name: DnsName
    """Name of the Secret."""
    key: ConfigKey
    """Key in it."""


class EnvValueSource(ApiObject):
    """Where the value of an environment variable comes from."""

    config_map_key_ref: ConfigMapKey | None = None
    """A ConfigMap's key; its content is frozen into the version."""
    secret_key_ref: SecretKey | None = None
    """A Secret's key; passed to the pod by reference, never copied."""


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
    """Reference to take the value from instead."""


EnvList = Annotated[list[EnvVariable], Field(max_length=64, json_schema_extra=map_list("name"))]
ArgumentList = Annotated[
    list[Annotated[str, Field(max_length=4096)]],
    Field(max_length=64, json_schema_extra=ATOMIC),
]


class RuntimeSpec(ApiObject):
    """What runs the model."""

    name: DnsLabel | None = None
    """Member of the runtime catalogue, or `custom`; chosen from `model.format` when absent."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Container image; required by `custom`, overrides the runtime's own otherwise."""
    command: ArgumentList | None = None
    """Entry point of the container; only for `custom`."""
    args: ArgumentList | None = None
    """Arguments; added to the runtime's own, or all of them for `custom`."""
    env: EnvList | None = None
    """Environment of the container."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port the server listens on; only for `custom` (8080)."""
    protocol: Literal["HTTP1", "H2C", "GRPC"] | None = None
    """Protocol on that port; only for `custom` (HTTP1)."""
    readiness_path: Annotated[str, Field(max_length=256, pattern=r"^/.*$")] | None = None
    """HTTP path that answers 200 once the model is loaded; only for `custom` (/)."""
    startup_seconds: Annotated[int, Field(ge=1, le=7200)] | None = None
    """Longest time that loading may take (600)."""
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Longest time that a request may take to finish when a replica leaves (request timeout)."""


class Toleration(ApiObject):
    """A taint that replicas tolerate, as in a pod."""

    key: LabelKey | None = None
    """Taint key; absent together with operator Exists matches all."""
    operator: Literal["Exists", "Equal"] | None = None
    """How `key` is matched (Equal)."""
    value: LabelValue | None = None
    """Taint value for operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; absent matches all."""


class Placement(ApiObject):
    """Where replicas may run."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] | None = None
    """Labels that a node must have."""
    tolerations: (
        Annotated[list[Toleration], Field(max_length=16, json_schema_extra=ATOMIC)] | None
    ) = None
    """Taints to tolerate."""


class Accelerator(ApiObject):
    """Accelerators of one replica."""

    count: Annotated[int, Field(ge=1, le=16)] = 1
    """How many `nvidia.com/gpu` each replica gets."""


class Resources(ApiObject):
    """What one replica may use. Requests equal limits for memory and accelerators."""

    cpu: Quantity | None = None
    """CPU request, such as `500m` (250m)."""
    memory: Quantity | None = None
    """Memory request and limit, such as `1Gi` (512Mi)."""
    accelerator: Accelerator | None = None
    """Accelerators; absent means CPU only."""


class Objective(ApiObject):
    """The promise to clients, measured at the gateway, time on hold excluded."""

    latency_milliseconds: Annotated[int, Field(ge=1, le=3_600_000)]
    """Latency that `percentile` percent of the answers must meet."""
    percentile: Annotated[int, Field(ge=50, le=99)] = 95
    """Percentage of answers that must meet it."""


class ServiceOptions(ApiObject):
    """The Service by whose name clients in the cluster call the model."""

    create: bool = True
    """Whether modelfleet makes it (type ExternalName, to the gateway)."""


class TrafficSpec(ApiObject):
    """How requests are carried."""

    request_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """Longest time for one answer, time on hold excluded."""
    idempotent: bool = True
    """Whether a request cut off by a dying replica may be sent to another one."""
    max_replay_bytes: Annotated[int, Field(ge=1024, le=67_108_864)] = 4_194_304
    """Bodies up to this size are kept for a replay; larger ones cannot be held."""
    exposure: Literal["Cluster", "External"] | None = None
    """Who can reach the model: the cluster, or also clients outside (operator's default)."""
    service: ServiceOptions = ServiceOptions()
    """The model's own Service."""


class Rollout(ApiObject):
    """How a new version takes over."""

    strategy: Literal["Rolling"] = "Rolling"
    """Rolling: weights follow ready capacity."""
    keep_warm_seconds: Annotated[int, Field(ge=0, le=604_800)] | None = None
    """How long the old version stays ready after promotion (300; 0 with accelerators)."""
    history_limit: Annotated[int, Field(ge=1, le=100)] = 10
    """How many versions are retained; the stable, candidate and pinned ones always are."""


class Quality(ApiObject):
    """Checks of answers."""

    generated_probes: bool = True
    """Whether each replica must answer a generated request before it takes traffic."""


class MLModelSpec(ApiObject):
    """What the user wants served; everything but the model has a default."""

    model: ModelSource = ModelSource()
    """The artifact."""
    runtime: RuntimeSpec = RuntimeSpec()
    """What runs it."""
    placement: Placement = Placement()
    """Where it runs."""
    resources: Resources = Resources()
    """What a replica may use."""
    objective: Objective | None = None
    """The promise to clients; drives scaling."""
    traffic: TrafficSpec = TrafficSpec()
    """How requests are carried."""
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Set by a person or another autoscaler, through `/scale` too; ours then only recommends."""
    scaling: Annotated[
        Scaling,
        Field(json_schema_extra=validations(*SCALING_RULES)),
    ] = Scaling()
    """Bounds of the autoscaler."""
    rollout: Rollout = Rollout()
    """How a new version takes over."""
    quality: Quality = Quality()
    """Checks of answers."""
    paused: bool = False
    """Stops rollouts; scaling and healing go on."""
    version: DnsName | None = None
    """Pin: serve this existing version, such as `digits-v3`, whatever the rest says."""


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
    """A machine-learning model to be served, scaled and updated."""

    spec: Annotated[MLModelSpec, Field(json_schema_extra=validations(*SPEC_RULES))]
    """What is wanted."""
    status: MLModelStatus = MLModelStatus()
    """What is so."""


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
"""What `kubectl scale` and a HorizontalPodAutoscaler read and write."""

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
