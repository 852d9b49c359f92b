"""Stores, gateways and ledger -> ModelFacts. The only place where cluster objects are parsed.

`core.model.decide` takes the facts next. Must never write, and never guess: unknown is None.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.api.reasons import Reason
from modelfleet.build.metadata import is_owned
from modelfleet.engine.ledger import Entry
from modelfleet.engine.model.gateway_pods import may_get_traffic
from modelfleet.engine.model.pods import moment, pod_facts, reported
from modelfleet.engine.model.stored import mapping, parse_spec, parse_status, read_version_spec
from modelfleet.engine.ports import Gateways, Json, Objects
from modelfleet.facts.identity import Key, endpoint_of
from modelfleet.facts.model import (
    ChildFacts,
    ChildKind,
    Defaults,
    Fault,
    GatewayFacts,
    ModelFacts,
    Orphan,
    PodFacts,
    ResolveFacts,
    VersionFacts,
)

STALE_METRICS_SECONDS = 15.0
_OWN_EDITORS = {names.FIELD_MANAGER, names.SCALE_FIELD_MANAGER, "kube-controller-manager", ""}


@dataclass(frozen=True, slots=True)
class Caches:
    """Everything that a turn can read from memory; made once by `compose`."""

    models: Objects
    versions: Objects
    deployments: Objects
    services: Objects
    budgets: Objects
    knows_budgets: Callable[[], bool]
    pods: Objects
    gateway_pods: Objects
    gateways: Gateways | None
    defaults: Defaults
    gateway_drain_seconds: float


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The parsed object of a model; `version` is its resourceVersion."""

    version: str
    spec: MLModelSpec | None
    error: str | None
    status: MLModelStatus


@dataclass(slots=True)
class _Seen:
    """Memory of one model between two turns: dear to make anew, or known from nowhere else.

    By uid: the parsed specs of its versions, and since when a pod drains.
    """

    parsed: _Parsed | None = None
    specs: dict[str, tuple[MLModelVersionSpec, bool]] = field(default_factory=dict)
    drained: dict[str, datetime] = field(default_factory=dict)


class Observer:
    """Makes the facts of one model."""

    def __init__(self, caches: Caches, utc_now: Callable[[], datetime]) -> None:
        """`utc_now` gives the wall clock in UTC."""
        self._caches = caches
        self._utc_now = utc_now
        self._seen: dict[Key, _Seen] = defaultdict(_Seen)
        self.silent_seconds: Callable[[], float | None] = lambda: 0.0

    def facts(
        self,
        key: Key,
        entry: Entry,
        monotonic: float,
        config: Mapping[tuple[str, str], str | None],
    ) -> ModelFacts | None:
        """Return the facts of a model; None when it does not exist or is being deleted."""
        model = self._caches.models.get(key.namespace, key.name)
        if model is None or model["metadata"].get("deletionTimestamp"):
            return None
        now = self._utc_now()
        parsed = self._parsed_of(model)
        gateways = self._gateways(key, now)
        return ModelFacts(
            key=key,
            uid=model["metadata"]["uid"],
            generation=model["metadata"].get("generation", 0),
            now=now,
            defaults=self._caches.defaults,
            gateways=gateways,
            spec=parsed.spec,
            spec_error=parsed.error,
            status=parsed.status,
            versions=self._versions(key, model["metadata"]["uid"]),
            orphans=self._orphans(key, model["metadata"]["uid"]),
            service=child(self._caches.services.get(*key), model["metadata"]["uid"]),
            budget=self._budget(key, model["metadata"]["uid"]),
            is_budget_known=self._caches.knows_budgets(),
            resolve=self._resolve(key),
            config_maps=config,
            taken=entry.turn.still_taken(monotonic),
            refused=entry.turn.refusals(monotonic, self._caches.defaults.hopeless_seconds),
            unmoved=entry.turn.unmoved,
            ask=entry.answer.ask,
            grant=entry.answer.grant,
            readings=entry.answer.readings,
            lone_latency_seconds=entry.answer.lone_latency_seconds,
            overload=entry.answer.overload,
            evidence=entry.answer.evidence,
            cause_seconds=entry.turn.cause_seconds(monotonic),
            replicas_manager=model["metadata"].get("replicasManager"),
            metrics_fresh=self._fresh(gateways),
        )

    def end_term(self) -> None:
        """Forget since when replicas drain: only the deadline needs it, a new leader starts it."""
        for seen in self._seen.values():
            seen.drained.clear()

    def forget(self, key: Key) -> None:
        """Drop what is kept of a model that was deleted."""
        self._seen.pop(key, None)

    def forget_gone(self) -> None:
        """Drop what is kept of versions and pods that were deleted."""
        versions = {item["metadata"]["uid"] for item in self._caches.versions.all()}
        pods = {item["metadata"]["uid"] for item in self._caches.pods.all()}
        for seen in self._seen.values():
            seen.specs = {uid: known for uid, known in seen.specs.items() if uid in versions}
            seen.drained = {uid: at for uid, at in seen.drained.items() if uid in pods}

    def spec_of(self, model: Json) -> MLModelSpec | None:
        """Return the spec of a model; None when it cannot be parsed."""
        return self._parsed_of(model).spec

    def _parsed_of(self, model: Json) -> _Parsed:
        """Return the parsed object; each state of it is parsed once."""
        # A resource version belongs to one state of one object, also under a name used again.
        meta = model["metadata"]
        seen, version = self._seen[Key(meta["namespace"], meta["name"])], meta["resourceVersion"]
        if seen.parsed is None or seen.parsed.version != version:
            spec, error = parse_spec(model)
            seen.parsed = _Parsed(version, spec, error, parse_status(model))
        return seen.parsed

    def has_source(self, key: Key, source: str) -> bool:
        """Return whether a version was made from exactly this source."""
        versions = self._caches.versions.of_model(key)
        return any(mapping(item.get("spec")).get("source") == source for item in versions)

    def _fresh(self, gateways: GatewayFacts) -> bool | None:
        silent = self.silent_seconds() if gateways.is_used else None
        return None if silent is None else silent < STALE_METRICS_SECONDS

    def _versions(self, key: Key, uid: str) -> tuple[VersionFacts, ...]:
        caches, seen = self._caches, self._seen[key]
        by_version: dict[str, list[PodFacts]] = {}
        specs = {}
        items = [item for item in caches.versions.of_model(key) if is_owned(item, uid)]
        for item in items:
            specs[item["metadata"]["name"]] = _version_spec(seen, item)
        for pod in caches.pods.of_model(key):
            name = (pod["metadata"].get("labels") or {}).get(names.LABEL_VERSION, "")
            if name in specs and _is_replica_of(pod, name):
                by_version.setdefault(name, []).append(self._pod(seen, pod, specs[name][0].port))
        return tuple(
            self._version(item, specs[item["metadata"]["name"]], by_version, uid) for item in items
        )

    def _budget(self, key: Key, uid: str) -> ChildFacts | None:
        name = names.budget_name(key.name)
        return child(self._caches.budgets.get(key.namespace, name), uid)

    def _orphans(self, key: Key, uid: str) -> tuple[Orphan, ...]:
        """Return children of versions that were deleted."""
        known = {item["metadata"]["name"] for item in self._caches.versions.of_model(key)}
        orphans: list[Orphan] = []
        kinds: tuple[tuple[ChildKind, Objects], ...] = (
            ("Deployment", self._caches.deployments),
            ("Service", self._caches.services),
        )
        for kind, store in kinds:
            for item in store.of_model(key):
                meta = item["metadata"]
                version = (meta.get("labels") or {}).get(names.LABEL_VERSION)
                is_orphan = version is not None and version not in known
                if is_orphan and is_owned(item, uid) and not meta.get("deletionTimestamp"):
                    orphans.append(Orphan(kind, meta["name"], meta["uid"]))
        return tuple(orphans)

    def _version(
        self,
        item: Json,
        known: tuple[MLModelVersionSpec, bool],
        pods: Mapping[str, list[PodFacts]],
        uid: str,
    ) -> VersionFacts:
        spec, is_buildable = known
        meta, status = item["metadata"], mapping(item.get("status"))
        name = (meta["namespace"], meta["name"])
        own = tuple(pods.get(meta["name"], ()))
        outcome, learned_ms = status.get("outcome"), status.get("startupMilliseconds")
        if type(learned_ms) is not int:
            learned_ms = None
        image_id = status.get("imageId")
        return VersionFacts(
            name=meta["name"],
            uid=meta["uid"],
            spec=spec,
            template=spec.template,
            deployment=child(self._caches.deployments.get(*name), uid),
            service=child(self._caches.services.get(*name), uid),
            pods=own,
            outcome=outcome if isinstance(outcome, str) else None,
            startup_seconds=startup(own) or (learned_ms / 1000 if learned_ms else None),
            image_id=image_id if isinstance(image_id, str) else None,
            is_terminating=bool(meta.get("deletionTimestamp")),
            is_buildable=is_buildable,
        )

    def _pod(self, seen: _Seen, item: Json, port: int) -> PodFacts:
        address = (item.get("status") or {}).get("podIP")
        gateways = self._caches.gateways
        flight = gateways.in_flight(endpoint_of(address, port)) if gateways and address else None
        facts = pod_facts(item, port, flight)
        if facts.is_in_service:
            seen.drained.pop(facts.uid, None)
            return facts
        since = seen.drained.setdefault(facts.uid, self._utc_now())
        return replace(facts, drained_at=since)

    def _resolve(self, key: Key) -> ResolveFacts | None:
        for pod in self._caches.pods.of_model(key):
            meta = pod["metadata"]
            if (meta.get("labels") or {}).get(names.LABEL_ROLE) == names.ROLE_RESOLVE:
                return resolve_facts(pod)
        return None

    def _gateways(self, key: Key, now: datetime) -> GatewayFacts:
        source = self._caches.gateways
        if source is None:
            return GatewayFacts(is_used=False)
        acknowledgements = source.acknowledgements(str(key))
        connected = source.connected()
        expected = [
            name
            for pod in self._caches.gateway_pods.all()
            if may_get_traffic(
                pod,
                now,
                self._caches.gateway_drain_seconds,
                is_connected=connected.get(name := pod["metadata"]["name"], False),
            )
        ]
        return GatewayFacts(
            is_used=True,
            acknowledged={name: acknowledgements.get(name) for name in sorted(expected)},
            rejections=source.rejections(str(key)),
            probe_failures=source.probe_failures(str(key)),
            held=source.held(str(key)),
            disconnected=tuple(name for name, alive in connected.items() if not alive),
        )


def child(item: Json | None, uid: str) -> ChildFacts | None:
    """Return the facts of a child of the model; None when it does not exist."""
    if item is None:
        return None
    meta = item["metadata"]
    if not is_owned(item, uid):
        return None
    return ChildFacts(
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        replicas=(item.get("spec") or {}).get("replicas"),
        live=item,
        editors=tuple(m for m in meta.get("managers", ()) if m not in _OWN_EDITORS),
        is_terminating=bool(meta.get("deletionTimestamp")),
        fault=replica_failure(item),
    )


def _is_replica_of(pod: Mapping[str, Any], version: str) -> bool:
    """Return whether the ReplicaSet of a version owns the pod; anyone can set labels."""
    owners = pod["metadata"].get("ownerReferences") or []
    return any(
        owner.get("kind") == "ReplicaSet" and str(owner.get("name")).startswith(f"{version}-")
        for owner in owners
    )


def replica_failure(item: Mapping[str, Any]) -> Fault | None:
    """Return why Kubernetes does not create the pods: quota, pod security, limit ranges."""
    for condition in (item.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Fault(Reason.PODS_REFUSED.value, str(condition.get("message", ""))[:600])
    return None


def startup(pods: tuple[PodFacts, ...]) -> float | None:
    """Return the mean start-up time of the ready pods in seconds."""
    seconds = [
        (pod.ready_at - pod.created_at).total_seconds() for pod in pods if pod.ready_at is not None
    ]
    return sum(seconds) / len(seconds) if seconds else None


def resolve_facts(pod: Mapping[str, Any]) -> ResolveFacts:
    """Return the digest that the one-shot pod has found, or why its last attempt failed."""
    meta, status = pod["metadata"], pod.get("status") or {}
    ended = _terminated(status)
    report = reported(ended.get("message"))
    digest = None
    if status.get("phase") == "Succeeded" and report is not None and report["reason"] == "Resolved":
        digest = report.get("digest")
    fault = None if digest else pod_facts(pod, 1, None).fault
    if status.get("phase") in {"Succeeded", "Failed"} and not digest and fault is None:
        why = status.get("message") or status.get("reason") or "no result"
        fault = Fault(Reason.FETCH_FAILED.value, f"{meta['name']} ended: {why}"[:600])
    return ResolveFacts(
        name=meta["name"],
        uid=meta["uid"],
        source=(meta.get("annotations") or {}).get(names.ANNOTATION_SOURCE, ""),
        digest=digest,
        fault=fault,
        finished_at=moment(ended.get("finishedAt")) or _rejected_at(pod),
        is_terminating=bool(meta.get("deletionTimestamp")),
    )


def _rejected_at(pod: Mapping[str, Any]) -> datetime | None:
    """Return when a node refused the pod; such a pod never runs a container."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return None
    return moment(status.get("startTime") or pod["metadata"]["creationTimestamp"])


def _terminated(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or []:
        for state in ("state", "lastState"):
            ended: Mapping[str, Any] | None = (container.get(state) or {}).get("terminated")
            if ended:
                return ended
    return {}


def _version_spec(seen: _Seen, item: Json) -> tuple[MLModelVersionSpec, bool]:
    """Return the spec of a version, parsed once, and whether it can be built."""
    uid = item["metadata"]["uid"]
    if uid not in seen.specs:
        seen.specs[uid] = read_version_spec(item)
    return seen.specs[uid]
