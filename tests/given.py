"""Fluent builders of facts for tests: `a_model().serving(3).with_candidate("v2", ready=1)`.

Everything has a sensible default; a test says only what matters to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.build.workload import deployment, disruption_budget, version_service
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.facts.identity import Key
from modelfleet.facts.model import (
    ChildFacts,
    Defaults,
    GatewayFacts,
    ModelFacts,
    PodFacts,
    VersionFacts,
)
from modelfleet.facts.route import Route, RouteWeight
from modelfleet.facts.scaling import Grant
from modelfleet.facts.traffic import RouteAcknowledgement

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = Key("team-a", "digits")
UID = "uid-model"
URI = "https://models.example/digits.onnx"
DIGEST = "sha256:" + "1" * 64
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}


def spec_of(**fields: Any) -> MLModelSpec:
    """A spec by field names of the API, with the ten lines' model unless given."""
    return MLModelSpec.model_validate({"model": {"uri": URI}, **fields})


def version_spec(number: int, **fields: Any) -> MLModelVersionSpec:
    """Spec of version `number` of `digits`."""
    body = {
        "model": KEY.name,
        "number": number,
        "shape": f"s1-{number:016x}",
        "source": f"s1-{number:016x}",
        "artifact": {"uri": URI, "digest": DIGEST},
        "runtime": "onnx",
        "port": 8080,
        "protocol": "HTTP1",
        "startupSeconds": 600,
        "shutdownSeconds": 60,
        "template": TEMPLATE,
        "createdBy": "0.1.0",
    }
    return MLModelVersionSpec.model_validate({**body, **fields})


def pod_of(version: str, index: int, **fields: Any) -> PodFacts:
    """A ready pod in service; `index` makes its name, address and age."""
    number = int(version.rsplit("v", 1)[-1])
    created = NOW - timedelta(minutes=10) + timedelta(seconds=index)
    pod = PodFacts(
        name=f"{version}-pod{index}",
        uid=f"uid-{version}-{index}",
        created_at=created,
        endpoint=f"10.0.{number}.{index + 1}:8080",
        is_ready=True,
        ready_at=created + timedelta(seconds=4),
        in_flight=0,
    )
    return replace(pod, **fields)


@dataclass
class Given:
    """A world around one model, built step by step."""

    spec: MLModelSpec = field(default_factory=spec_of)
    versions: dict[str, VersionFacts] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    gateways: tuple[str, ...] = ("gw-0", "gw-1")
    acknowledged_revision: int | None = None
    is_gateway_used: bool = True
    held: int | None = 0
    grant: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def asking(self, **fields: Any) -> Given:
        """With these fields of the spec."""
        self.spec = spec_of(**fields)
        return self

    def with_version(
        self, number: int, *, replicas: int, ready: int | None = None, **fields: Any
    ) -> Given:
        """A version with a Deployment of `replicas`, `ready` (default all) of them ready."""
        name = f"{KEY.name}-v{number}"
        spec = version_spec(number, **fields)
        count = replicas if ready is None else ready
        pods = tuple(
            pod_of(name, i) if i < count else pod_of(name, i, is_ready=False, ready_at=None)
            for i in range(replicas)
        )
        live = deployment(KEY, UID, name, spec.template, spec.startup_seconds)
        live["spec"]["replicas"] = replicas
        service = version_service(KEY, UID, name, spec)
        self.versions[name] = VersionFacts(
            name=name,
            uid=f"uid-{name}",
            spec=spec,
            template=spec.template,
            deployment=ChildFacts(f"uid-deploy-{name}", "7", replicas, live),
            service=ChildFacts(f"uid-service-{name}", "7", None, service),
            pods=pods,
        )
        return self

    def serving(self, replicas: int, number: int = 1) -> Given:
        """Stable version `number` owns the route with `replicas` ready."""
        source = source_hash(self.spec)
        self.with_version(number, replicas=replicas, source=source)
        name = f"{KEY.name}-v{number}"
        self.status.update(
            observedGeneration=1,
            stable=name,
            lastVersion=number,
            route=Route(1, (RouteWeight(name, 100),)).to_status(),
            scaling={"want": replicas, "granted": replicas, "ready": replicas, "why": []},
        )
        self.acknowledged_revision = 1
        return self

    def wanting_next(self, number: int, *, replicas: int, ready: int) -> Given:
        """A newer version that the spec asks for now; the stable one keeps its old source."""
        self.spec = self.spec.model_copy(
            update={"model": self.spec.model.model_copy(update={"version": f"next-{number}"})}
        )
        source = source_hash(self.spec)
        return self.with_version(number, replicas=replicas, ready=ready, source=source)

    def routed(self, revision: int, acknowledged: int | None = None, **weights: int) -> Given:
        """Route of `revision` with weights such as v1=50; acknowledged by all gateways or not."""
        shares = tuple(
            RouteWeight(f"{KEY.name}-{v}", w)
            for v, w in sorted(weights.items(), key=lambda item: (-item[1], item[0]))
        )
        self.status["route"] = Route(revision, shares).to_status()
        self.acknowledged_revision = revision if acknowledged is None else acknowledged
        return self

    def with_pods(self, number: int, *pods: PodFacts) -> Given:
        """Replace the pods of a version."""
        name = f"{KEY.name}-v{number}"
        self.versions[name] = replace(self.versions[name], pods=pods)
        return self

    def granted(self, replicas: int) -> Given:
        """The fleet grants so many replicas, and the status says so already."""
        self.grant = replicas
        self.status["scaling"] = {"want": replicas, "granted": replicas, "ready": 0, "why": []}
        return self

    def with_facts(self, **fields: Any) -> Given:
        """Any other field of ModelFacts."""
        self.extra.update(fields)
        return self

    def _acknowledgement(self) -> RouteAcknowledgement | None:
        if self.acknowledged_revision is None or "route" not in self.status:
            return None
        route = Route.from_status(self.status["route"])
        endpoints = {
            v.name: tuple(
                p.endpoint for p in v.alive if p.is_ready and p.is_in_service and p.endpoint
            )
            for v in self.versions.values()
        }
        return RouteAcknowledgement(UID, self.acknowledged_revision, route.content_hash, endpoints)

    def facts(self) -> ModelFacts:
        """The facts of this world."""
        acks = {name: self._acknowledgement() for name in self.gateways}
        gateways = (
            GatewayFacts(is_used=True, acknowledged=acks, held=self.held)
            if self.is_gateway_used
            else GatewayFacts(is_used=False)
        )
        fields: dict[str, Any] = {
            "key": KEY,
            "uid": UID,
            "generation": 1,
            "now": NOW,
            "defaults": Defaults(server_image="modelfleet/server:dev"),
            "gateways": gateways,
            "spec": self.spec,
            "status": MLModelStatus.model_validate(self.status),
            "versions": tuple(self.versions[name] for name in sorted(self.versions)),
            "budget": ChildFacts("uid-budget", "7", None, disruption_budget(KEY, UID)),
            "grant": Grant(self.grant, ("said so",)) if self.grant is not None else None,
        }
        return ModelFacts(**{**fields, **self.extra})


def a_model() -> Given:
    """The ten lines' model, nothing made yet."""
    return Given()
