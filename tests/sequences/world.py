"""A virtual cluster around `decide`: pods that start and end, gateways that lag, plans cut short.

Used by the sequence and property tests. It applies plans as the API server and the controllers
would, in steps, and notes every moment at which a gateway would have sent a request to a pod
that is gone. Must never know how `core` decides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.facts.model import (
    ChildFacts,
    Defaults,
    GatewayFacts,
    ModelFacts,
    PodFacts,
    ResolveFacts,
    VersionFacts,
)
from modelfleet.facts.plan import Plan
from modelfleet.facts.route import Route
from modelfleet.facts.scaling import Grant
from modelfleet.facts.traffic import RouteAcknowledgement
from tests.given import DIGEST, KEY, NOW, UID, spec_of

STEP_SECONDS = 1.0


@dataclass
class Gateway:
    """What one gateway has in effect; None before its first configuration."""

    acknowledged: RouteAcknowledgement | None = None
    is_silent: bool = False
    refuses: str | None = None
    """Version whose resources its Envoy refuses."""
    rejection: str | None = None


@dataclass
class World:
    """One model's world. `start_steps`: how long a pod takes to be ready."""

    seed: int = 0
    start_steps: int = 3
    lag: float = 0.5
    spec: MLModelSpec = field(default_factory=spec_of)
    grant: int | None = None
    held: int = 0
    generation: int = 1

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now: datetime = NOW
        self.status = MLModelStatus()
        self.versions: dict[str, dict[str, Any]] = {}
        self.children: dict[str, dict[str, Any]] = {}
        self.replicas: dict[str, int] = {}
        self.pods: dict[str, list[PodFacts]] = {}
        self.resolve: ResolveFacts | None = None
        self.gateways = {"gw-0": Gateway(), "gw-1": Gateway()}
        self.lost: list[str] = []
        self.writes = 0
        self.counter = 0
        self.version_numbers: list[int] = []

    # -- what the operator sees -------------------------------------------------------------

    def facts(self) -> ModelFacts:
        acks = {n: None if g.is_silent else g.acknowledged for n, g in self.gateways.items()}
        held = None if any(g.is_silent for g in self.gateways.values()) else self.held
        return ModelFacts(
            key=KEY,
            uid=UID,
            generation=self.generation,
            now=self.now,
            defaults=Defaults(server_image="modelfleet/server:dev", keep_warm_seconds=5),
            gateways=GatewayFacts(
                is_used=True,
                acknowledged=acks,
                rejections={n: g.rejection for n, g in self.gateways.items() if g.rejection},
                held=held,
            ),
            spec=self.spec,
            status=self.status,
            versions=tuple(self._version(name) for name in sorted(self.versions)),
            service=self._child(f"Service/{KEY.name}"),
            budget=self._child(f"PodDisruptionBudget/{KEY.name}-replicas"),
            resolve=self.resolve,
            grant=None if self.grant is None else Grant(self.grant),
        )

    def _version(self, name: str) -> VersionFacts:
        body = self.versions[name]
        return VersionFacts(
            name=name,
            uid=f"uid-{name}",
            spec=MLModelVersionSpec.model_validate(body["spec"]),
            template=body["spec"]["template"],
            deployment=self._child(f"Deployment/{name}", self.replicas.get(name)),
            service=self._child(f"Service/{name}"),
            pods=tuple(self.pods.get(name, ())),
            outcome=body.get("outcome"),
        )

    def _child(self, identity: str, replicas: int | None = None) -> ChildFacts | None:
        if identity not in self.children:
            return None
        return ChildFacts(identity, "1", replicas, self.children[identity])

    # -- one turn, possibly cut -------------------------------------------------------------

    def turn(self, cut: int | None = None) -> Plan:
        """Decide and apply; with `cut`, the operator dies after so many writes."""
        facts = self.facts()
        plan = decide(facts)
        assert guard(plan, facts) == [], guard(plan, facts)
        actions: list[Any] = [
            *plan.creates,
            *plan.repairs,
            *plan.pods,
            *plan.scales,
            *plan.learned,
            *plan.deletes,
        ]
        for done, action in enumerate(actions):
            if cut is not None and done >= cut:
                return plan
            self.writes += 1
            self._apply(action)
            if getattr(action, "manifest", {}).get("kind") == "MLModelVersion":
                return plan
        if (cut is None or cut > len(actions)) and plan.status != self.status:
            self.writes += 1
            self.status = plan.status
        return plan

    def _apply(self, action: Any) -> None:
        getattr(self, f"_do_{type(action).__name__.lower()}")(action)

    def _do_create(self, action: Any) -> None:
        manifest = action.manifest
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if kind == "MLModelVersion":
            assert name not in self.versions, "a version number was used twice"
            self.versions[name] = dict(manifest)
            self.version_numbers.append(manifest["spec"]["number"])
        elif kind == "Pod":
            self.resolve = ResolveFacts(name, name, source_hash(self.spec))
        else:
            self.children[f"{kind}/{name}"] = manifest
            if kind == "Deployment":
                self.replicas[name] = manifest["spec"]["replicas"]

    def _do_repair(self, action: Any) -> None:
        manifest = action.manifest
        self.children[f"{manifest['kind']}/{manifest['metadata']['name']}"] = manifest

    def _do_podservice(self, action: Any) -> None:
        for name, pods in self.pods.items():
            self.pods[name] = [
                replace(
                    p,
                    is_in_service=action.in_service,
                    drained_at=None if action.in_service else self.now,
                    deletion_cost=0 if action.in_service else -1000,
                )
                if p.uid == action.uid
                else p
                for p in pods
            ]

    def _do_scale(self, action: Any) -> None:
        self.replicas[action.name] = action.replicas

    def _do_versionlearned(self, action: Any) -> None:
        self.versions[action.name]["outcome"] = action.outcome

    def _do_delete(self, action: Any) -> None:
        if action.kind == "Pod":
            self.resolve = None
        elif action.kind == "MLModelVersion":
            del self.versions[action.name]
        else:
            del self.children[f"{action.kind}/{action.name}"]
            if action.kind == "Deployment":
                self.replicas[action.name] = 0

    # -- the world moves --------------------------------------------------------------------

    def step(self) -> None:
        """One second: controllers, kubelet, gateways."""
        self.now += timedelta(seconds=STEP_SECONDS)
        if self.resolve is not None and self.resolve.digest is None:
            self.resolve = replace(self.resolve, digest=DIGEST)
        for name in sorted(self.replicas):
            self._replica_set(name)
        for gateway in self.gateways.values():
            if not gateway.is_silent and self.chance.random() > self.lag:
                self._configure(gateway)

    def _replica_set(self, name: str) -> None:
        pods = self.pods.setdefault(name, [])
        alive = [p for p in pods if not p.is_terminating]
        for _ in range(self.replicas[name] - len(alive)):
            self.counter += 1
            pods.append(
                PodFacts(
                    f"{name}-{self.counter}",
                    f"u{self.counter}",
                    self.now,
                    is_ready=False,
                    endpoint=f"10.0.0.{self.counter}:8080",
                    in_flight=0,
                )
            )
        surplus = len(alive) - self.replicas[name]
        for pod in sorted(alive, key=lambda p: (p.is_ready, p.deletion_cost))[: max(0, surplus)]:
            pods.remove(pod)
            self._ended(name, pod)
        age = timedelta(seconds=self.start_steps * STEP_SECONDS)
        self.pods[name] = [
            replace(p, is_ready=True, ready_at=self.now)
            if not p.is_ready and self.now - p.created_at >= age
            else p
            for p in pods
        ]

    def _ended(self, version: str, pod: PodFacts) -> None:
        """A pod that Kubernetes ends for us must not be in any gateway any more."""
        for name, gateway in self.gateways.items():
            ack = gateway.acknowledged
            if ack is not None and pod.endpoint in ack.endpoints.get(version, ()):
                self.lost.append(f"{name} still sends to {pod.name}")

    def _configure(self, gateway: Gateway) -> None:
        if self.status.route is None:
            return
        route = Route.from_status(self.status.route.model_dump(by_alias=True))
        gateway.rejection = None
        if gateway.refuses in route.versions:
            gateway.rejection = f"{gateway.refuses}: not valid"
            return
        endpoints = {
            name: tuple(
                p.endpoint
                for p in self.pods.get(name, ())
                if p.is_ready and p.is_in_service and p.endpoint
            )
            for name in route.versions
        }
        gateway.acknowledged = RouteAcknowledgement(
            UID, route.revision, route.content_hash, endpoints
        )

    def crash(self, version: str) -> None:
        """One replica dies by itself; gateways notice when they look."""
        pods = self.pods.get(version, [])
        if pods:
            pods.pop(0)

    def edit(self, name: str) -> None:
        """The user wants another model."""
        model = self.spec.model.model_copy(update={"version": name})
        self.spec = self.spec.model_copy(update={"model": model})
        self.generation += 1

    def run(self, steps: int) -> Plan:
        """Turn and step, `steps` times."""
        plan = self.turn()
        for _ in range(steps):
            self.step()
            plan = self.turn()
        return plan

    def reachable(self, version: str) -> int:
        """Replicas of a version that all gateways use."""
        acks = [g.acknowledged for g in self.gateways.values()]
        return min((len(a.endpoints.get(version, ())) if a else 0 for a in acks), default=0)
