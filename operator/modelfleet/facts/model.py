"""Everything that is known about one model at one moment: the input of `model.decide`.

Made by `model.observe` from the stores and the ledger, and by the builders of the tests. Must
never hold a raw Kubernetes object that the decision would have to parse.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Ask, Grant
from modelfleet.facts.traffic import RouteAcknowledgement


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a pod does not become ready. `is_hopeless`: waiting will not mend it."""

    reason: str
    message: str
    is_hopeless: bool = False


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of a version. `endpoint` is `ip:port`, or None before it has an address."""

    name: str
    uid: str
    created_at: datetime
    endpoint: str | None = None
    is_ready: bool = False
    ready_at: datetime | None = None
    unready_since: datetime | None = None
    is_in_service: bool = True
    is_terminating: bool = False
    drained_at: datetime | None = None
    """When it was taken out of service."""
    in_flight: int | None = None
    """Requests under way in all gateways; None when a gateway is silent."""
    fault: Fault | None = None
    deletion_cost: int = 0


ChildKind = Literal["Deployment", "Service"]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A child of a version that does not exist any more."""

    kind: ChildKind
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """A Deployment or Service that exists under a name we need.

    `differs`: a field that we own does not have the wanted value. `editors`: field managers
    other than ours and Kubernetes' own that hold fields of it.
    """

    uid: str
    resource_version: str
    replicas: int | None = None
    live: Mapping[str, Any] = field(default_factory=dict)
    editors: tuple[str, ...] = ()
    is_terminating: bool = False
    fault: Fault | None = None
    """Why Kubernetes cannot make the pods of a Deployment."""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version of the model with what exists of it."""

    name: str
    uid: str
    spec: MLModelVersionSpec
    template: Mapping[str, Any]
    deployment: ChildFacts | None = None
    service: ChildFacts | None = None
    pods: tuple[PodFacts, ...] = ()
    outcome: str | None = None
    startup_seconds: float | None = None
    """Learned time from a pod's creation to readiness; None before the first."""
    is_terminating: bool = False

    @property
    def number(self) -> int:
        """Number of the version."""
        return self.spec.number

    @property
    def replicas(self) -> int:
        """Replicas that its Deployment asks for; 0 when there is none."""
        return (self.deployment.replicas or 0) if self.deployment else 0

    @property
    def alive(self) -> tuple[PodFacts, ...]:
        """Pods that are not on their way out."""
        return tuple(pod for pod in self.pods if not pod.is_terminating)

    @property
    def ready(self) -> int:
        """Ready pods in service."""
        return sum(pod.is_ready and pod.is_in_service for pod in self.alive)


@dataclass(frozen=True, slots=True)
class ResolveFacts:
    """The one-shot pod that determines an artifact's digest. `finished_at`: its last attempt."""

    name: str
    uid: str
    source: str
    digest: str | None = None
    fault: Fault | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What the gateways have in effect for this model.

    `acknowledged` has an entry for each gateway that could receive traffic; None where that one
    has not told (silent, or it does not know the model yet).
    """

    is_used: bool
    acknowledged: Mapping[str, RouteAcknowledgement | None] = field(default_factory=dict)
    rejections: Mapping[str, str] = field(default_factory=dict)
    probe_failures: Mapping[str, str] = field(default_factory=dict)
    """Endpoint to what was wrong with its answer."""
    held: int | None = None
    """Requests parked in all gateways; None when one is silent."""

    @property
    def silent(self) -> tuple[str, ...]:
        """Gateways that have told nothing about this model, by name."""
        return tuple(sorted(name for name, ack in self.acknowledged.items() if ack is None))


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the operator's settings stand in for; see `settings.Settings`."""

    server_image: str
    image_pull_policy: str = "IfNotPresent"
    exposure: str = "Cluster"
    concurrency: int = 4
    keep_warm_seconds: int = 300
    hopeless_seconds: float = 30.0
    pre_stop_seconds: int = 5
    cluster_domain: str = "cluster.local"
    gateway_host: str = "modelfleet-gateway.modelfleet-system.svc.cluster.local"
    release: str = "0.0.0"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model, everything around it, and the time. `now` is in UTC."""

    key: Key
    uid: str
    generation: int
    now: datetime
    defaults: Defaults
    gateways: GatewayFacts
    spec: MLModelSpec | None
    spec_error: str | None = None
    status: MLModelStatus = field(default_factory=MLModelStatus)
    versions: tuple[VersionFacts, ...] = ()
    service: ChildFacts | None = None
    resolve: ResolveFacts | None = None
    config_maps: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    """Content of the ConfigMap keys that the spec names; None where absent."""
    orphans: tuple[Orphan, ...] = ()
    taken: frozenset[str] = frozenset()
    """`Kind/name` of objects that are in the way and not ours."""
    refused: Mapping[str, Fault] = field(default_factory=dict)
    """`Kind/name` of objects that the API server did not take, with its words."""
    ask: Ask | None = None
    grant: Grant | None = None
    cause_seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each cause of the last plan has lasted, as far as this leader knows."""
    replicas_manager: str | None = None
    """Field manager that set `spec.replicas`, such as `kubectl` or an autoscaler's name."""
    metrics_fresh: bool | None = None
    """Whether every gateway reported within the last seconds; None: none is used, or not known."""

    readings: tuple[Reading, ...] = ()
    """What the last tick of this leader knew of the model's signals."""
    lone_latency_seconds: float | None = None
    """Latency of a request that is alone in a replica, where even that breaks the objective."""

    overload: float | None = None
    """How many times what the replicas can answer comes, rounded; None: not watched yet."""

    def version(self, name: str | None) -> VersionFacts | None:
        """The version of that name, if it exists."""
        return next((v for v in self.versions if v.name == name), None)
