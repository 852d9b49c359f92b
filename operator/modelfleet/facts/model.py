"""Facts about one model at one moment: the input of `model.decide`.

`engine.model.observe` makes them from the stores and the ledger; tests have builders. Must never
hold a raw Kubernetes object that the decision would have to parse.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.facts.evidence import Evidences
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Ask, Grant
from modelfleet.facts.traffic import RouteAcknowledgement


@dataclass(frozen=True, slots=True)
class Fault:
    """Reason why a pod does not become ready; with `is_hopeless` waiting cannot help."""

    reason: str
    message: str
    is_hopeless: bool = False


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of a version; `endpoint` is `ip:port`, or None before the pod has an address."""

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
    """Time at which the pod was taken out of service."""
    in_flight: int | None = None
    """Requests under way in all gateways; None while a gateway is silent."""
    fault: Fault | None = None
    deletion_cost: int = 0
    has_started: bool = False
    """Whether every container runs and has passed its startup probe once."""
    is_fetching: bool = False
    """Whether the artifact is being fetched: however long it takes, this is no failed start."""
    fetched_at: datetime | None = None
    """Time at which the artifact was there; None without one, or before."""
    image_id: str | None = None
    """Digest of the image that the server runs, as the node says it; None before it runs."""
    is_failed: bool = False
    """Whether the pod ended as a whole, such as by an eviction; it never runs again."""


ChildKind = Literal["Deployment", "Service"]


@dataclass(frozen=True, slots=True)
class Orphan:
    """Object of a version that does not exist any more."""

    kind: ChildKind
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """A Deployment, Service or PodDisruptionBudget under a name that the model needs.

    `editors` are the field managers, other than modelfleet's and Kubernetes' own, that hold fields
    of it.
    """

    uid: str
    resource_version: str
    replicas: int | None = None
    live: Mapping[str, Any] = field(default_factory=dict)
    editors: tuple[str, ...] = ()
    is_terminating: bool = False
    fault: Fault | None = None
    """Reason why Kubernetes cannot create the pods of a Deployment."""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version of the model, with its objects."""

    name: str
    uid: str
    spec: MLModelVersionSpec
    template: Mapping[str, Any]
    deployment: ChildFacts | None = None
    service: ChildFacts | None = None
    pods: tuple[PodFacts, ...] = ()
    outcome: str | None = None
    startup_seconds: float | None = None
    """Learned time from a pod's creation to readiness; None before the first ready pod."""
    image_id: str | None = None
    """Digest of the image with which the version became stable; None before."""
    is_terminating: bool = False
    is_buildable: bool = True
    """Whether its objects can be built: False where a needed field of its spec cannot be read."""

    @property
    def number(self) -> int:
        """Number of the version."""
        return self.spec.number

    @property
    def replicas(self) -> int:
        """Replicas that the version's Deployment asks for; 0 without a Deployment."""
        return (self.deployment.replicas or 0) if self.deployment else 0

    @property
    def failed(self) -> tuple[PodFacts, ...]:
        """Pods that ended as a whole, oldest first."""
        failed = (pod for pod in self.pods if pod.is_failed)
        return tuple(sorted(failed, key=lambda pod: (pod.created_at, pod.name)))

    @property
    def alive(self) -> tuple[PodFacts, ...]:
        """Pods that are not terminating."""
        return tuple(pod for pod in self.pods if not pod.is_terminating)

    @property
    def running(self) -> tuple[PodFacts, ...]:
        """Pods that are ready, oldest first."""
        ready = (pod for pod in self.alive if pod.is_ready)
        return tuple(sorted(ready, key=lambda pod: (pod.created_at, pod.name)))

    @property
    def first_image(self) -> str | None:
        """Digest of the image that all replicas should run: the first one that was ready."""
        return self.image_id or next((p.image_id for p in self.running if p.image_id), None)

    @property
    def ready(self) -> int:
        """Ready pods in service."""
        return sum(pod.is_ready and pod.is_in_service for pod in self.alive)


@dataclass(frozen=True, slots=True)
class ResolveFacts:
    """The one-shot pod that determines an artifact's digest.

    `finished_at`: end of its last attempt.
    """

    name: str
    uid: str
    source: str
    digest: str | None = None
    fault: Fault | None = None
    finished_at: datetime | None = None
    is_terminating: bool = False


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """State of the gateways for this model.

    `acknowledged` has an entry for each gateway that could receive traffic. The entry is None while
    that gateway has not reported the model to this leader.
    """

    is_used: bool
    acknowledged: Mapping[str, RouteAcknowledgement | None] = field(default_factory=dict)
    rejections: Mapping[str, str] = field(default_factory=dict)
    probe_failures: Mapping[str, str] = field(default_factory=dict)
    """Endpoint to the fault of its answer to the admission probe."""
    held: int | None = None
    """Requests on hold in all gateways; None while a gateway is silent."""
    disconnected: tuple[str, ...] = ()
    """Names of gateways whose stream is broken. Their last acknowledgement counts until they leave,
    because they serve on by it."""

    @property
    def silent(self) -> tuple[str, ...]:
        """Gateways without a report about this model, by name."""
        return tuple(sorted(name for name, ack in self.acknowledged.items() if ack is None))


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values of the operator's settings where a spec has none; see `settings.Settings`."""

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
    has_scratch: bool = True
    """Whether a replica has an empty folder at /tmp; versions of earlier releases have none."""
    has_spread: bool = True
    """Whether replicas are spread over nodes; those of earlier releases are not."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model, its objects and signals, and the time; `now` is in UTC."""

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
    budget: ChildFacts | None = None
    """The PodDisruptionBudget of the replicas."""
    is_budget_known: bool = True
    """Whether budgets were listed; without the right to do so none is created."""
    resolve: ResolveFacts | None = None
    config_maps: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    """Content of the ConfigMap keys that the spec names; None where absent."""
    orphans: tuple[Orphan, ...] = ()
    taken: frozenset[str] = frozenset()
    """`Kind/name` of foreign objects whose names the model needs."""
    refused: Mapping[str, Fault] = field(default_factory=dict)
    """`Kind/name` of objects of which the API server refused a write, with its message."""
    unmoved: Mapping[str, str] = field(default_factory=dict)
    """`Kind/name` of objects that a repair left as they were, to the edition that was repaired.
    Other writers set their fields, so each further repair would be in vain."""
    ask: Ask | None = None
    grant: Grant | None = None
    cause_seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each cause of the last plan has lasted, as far as this leader has watched."""
    replicas_manager: str | None = None
    """Field manager that set `spec.replicas`, such as `kubectl` or an autoscaler's name."""
    metrics_fresh: bool | None = None
    """Whether every gateway reported within the last seconds; None without gateways or before a
    tick."""

    readings: tuple[Reading, ...] = ()
    """Readings of the model's signals at this leader's last tick."""
    lone_latency_seconds: float | None = None
    """Latency of a single request on an idle replica, if even that breaks the objective."""

    evidence: Evidences = field(default_factory=dict)
    """Requests by version since the candidate appeared; empty without a rollout."""
    overload: float | None = None
    """Arrivals in multiples of what the replicas can answer, rounded; None before the first result.
    """

    def version(self, name: str | None) -> VersionFacts | None:
        """Return the version of that name, if it exists."""
        return next((v for v in self.versions if v.name == name), None)
