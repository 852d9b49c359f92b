"""Watched models of an agent: routes, versions and endpoints, from watches in any order.

`agent` passes the objects of its reflectors in; `xds.controller` reads the views. A model whose
route vanished keeps its last good route. A deleted model keeps its route until its endpoints are
gone. Must never do I/O, and never drop a version that may still have held requests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelfleet.api import names
from modelfleet.facts.route import Exposure, Route
from modelfleet.gateway.watched import watched_objects
from modelfleet.gateway.watched.view import ModelView, VersionView

Json = Mapping[str, Any]
Name = tuple[str, str]
"""Namespace and name."""


def _dashed(name: Name) -> str:
    """Return the one-label host of a model; `a-b` in `c` and `a` in `b-c` share one."""
    return f"{name[1]}-{name[0]}"


@dataclass(slots=True)
class Record:
    """One model.

    `lingering`: versions that left the route, and when they may be dropped. `usable`: the last
    route whose versions were all read, with its model's uid. `fault`: the reason for which no
    replica comes, if waiting cannot help.
    """

    namespace: str
    name: str
    uid: str
    created: str
    exists: bool = True
    route: Route | None = None
    route_uid: str = ""
    usable: tuple[str, Route] | None = None
    lingering: dict[str, float] = field(default_factory=dict)
    fault: str = ""


class WatchedModels:
    """Models, versions and endpoints; calls `on_model` and `on_version` for each change."""

    def __init__(
        self,
        namespace: str,
        clock: Callable[[], float],
        default_exposure: Exposure = "Cluster",
    ) -> None:
        """`namespace` is the gateways' own; `clock` gives monotonic seconds."""
        self._namespace = namespace
        self._default_exposure = default_exposure
        self._clock = clock
        self.records: dict[Name, Record] = {}
        self._versions: dict[Name, VersionView] = {}
        self._models: dict[Name, str] = {}
        self._deleted_versions: set[Name] = set()
        self._slices: dict[Name, watched_objects.Slice] = {}
        self._of_version: dict[Name, set[Name]] = {}
        self._peers: dict[Name, Mapping[str, str]] = {}
        self._claims: dict[str, set[Name]] = {}
        self._owners: dict[str, Name | None] = {}
        """By dashed host: the models that it can mean, and the one that has it."""
        self.on_model: Callable[[Name], None] = lambda _: None
        self.on_version: Callable[[Name], None] = lambda _: None
        self.on_peers: Callable[[], None] = lambda: None

    # -- objects in -------------------------------------------------------------------------

    def put(self, kind: str, obj: Json) -> None:
        """Take an object as it is now: `MLModel`, `MLModelVersion` or `EndpointSlice`."""
        meta = obj["metadata"]
        name = (meta["namespace"], meta["name"])
        if kind == names.MODEL_KIND:
            self._put_model(name, obj)
        elif kind == names.VERSION_KIND:
            self._put_version(name, obj)
        elif kind == "EndpointSlice":
            self._put_slice(name, obj)

    def delete(self, kind: str, obj: Json) -> None:
        """Take the deletion of an object."""
        meta = obj["metadata"]
        name = (meta["namespace"], meta["name"])
        if kind == names.MODEL_KIND and name in self.records:
            self.records[name].exists = False
            self.on_model(name)
        elif kind == names.VERSION_KIND and name in self._versions:
            self._deleted_versions.add(name)
        elif kind == "EndpointSlice":
            self._drop_slice(name)

    def _put_model(self, name: Name, obj: Json) -> None:
        meta = obj["metadata"]
        record = self.records.get(name)
        if record is None:
            record = Record(*name, meta["uid"], meta.get("creationTimestamp", ""))
            self.records[name] = record
            self._claims.setdefault(_dashed(name), set()).add(name)
        record.exists = True
        record.uid = meta["uid"]
        record.fault = watched_objects.fault_of(obj)
        route = watched_objects.read_route(obj)
        if route is not None:
            self._route(record, route)
        elif record.route is None or record.route.revision == 0:
            self._hold(record, watched_objects.pending_route(obj, self._default_exposure))
        self._settle_host(_dashed(name))
        self.on_model(name)

    def _settle_host(self, dashed: str) -> None:
        """Give the host to the oldest model that is served outside.

        So every gateway gives it to the same model, in whatever order it has listed them: another
        one would send a tenant's requests to another tenant.
        """
        claims = [
            (route.revision == 0, self.records[name].created, name)
            for name in self._claims.get(dashed, ())
            if (route := self.records[name].route) is not None and route.exposure == "External"
        ]
        # A model without a version takes the host from none that serves under it.
        owner = min(claims)[2] if claims else None
        before = self._owners.get(dashed)
        self._owners[dashed] = owner
        if owner != before:
            for name in {before, owner} - {None}:
                if name is not None and name in self.records:
                    self.on_model(name)

    def _hold(self, record: Record, pending: Route) -> None:
        """Hold the requests of a model that has no version yet; its first version answers them."""
        name = (record.namespace, watched_objects.pending_version(record.name))
        self._versions[name] = VersionView("HTTP1")
        self._models[name] = record.name
        # It goes when the first route has replaced it and no request is held for it any more.
        self._deleted_versions.add(name)
        record.route, record.route_uid = pending, record.uid

    def _route(self, record: Record, route: Route) -> None:
        old = record.route
        record.route, record.route_uid = route, record.uid
        for version in route.versions:
            record.lingering.pop(version, None)
        if old is None:
            return
        patience = old.hold_max_seconds + old.request_timeout_seconds
        for version in old.versions:
            if version not in route.versions:
                record.lingering[version] = self._clock() + patience

    def _put_version(self, name: Name, obj: Json) -> None:
        view = watched_objects.read_version(obj)
        if view is None:
            return
        self._deleted_versions.discard(name)
        self._versions[name] = view
        self._models[name] = obj["spec"]["model"]
        self.on_version(name)
        self.on_model((name[0], obj["spec"]["model"]))

    def _put_slice(self, name: Name, obj: Json) -> None:
        if self._is_of_gateways(name, obj):
            self._peers[name] = watched_objects.pod_names(obj)
            self.on_peers()
            return
        new_slice = watched_objects.read_slice(obj)
        if new_slice is None:
            self._drop_slice(name)
            return
        old_slice = self._slices.get(name)
        if old_slice == new_slice:
            return
        self._remove_slice(name)
        self._slices[name] = new_slice
        self._of_version.setdefault((name[0], new_slice.version), set()).add(name)
        if old_slice is not None and old_slice.version != new_slice.version:
            self.on_version((name[0], old_slice.version))
        self.on_version((name[0], new_slice.version))
        self.on_model((name[0], new_slice.model))

    def _drop_slice(self, name: Name) -> None:
        if self._peers.pop(name, None) is not None:
            self.on_peers()
        old_slice = self._remove_slice(name)
        if old_slice is not None:
            self.on_version((name[0], old_slice.version))
            self.on_model((name[0], old_slice.model))

    def _remove_slice(self, name: Name) -> watched_objects.Slice | None:
        old_slice = self._slices.pop(name, None)
        if old_slice is not None:
            version = (name[0], old_slice.version)
            self._of_version[version].discard(name)
            if not self._of_version[version]:
                del self._of_version[version]
        return old_slice

    def _is_of_gateways(self, name: Name, obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return (
            name[0] == self._namespace
            and labels.get(names.SERVICE_NAME_LABEL) == names.GATEWAY_NAME
        )

    # -- views out --------------------------------------------------------------------------

    def ready(self, version: Name) -> dict[str, str]:
        """Return `ip:port` to pod of a version's ready endpoints, over all of its slices."""
        endpoints: dict[str, str] = {}
        for name in sorted(self._of_version.get(version, ())):
            endpoints.update(self._slices[name].ready)
        return endpoints

    def starting(self, version: Name) -> int:
        """Return the number of a version's endpoints that are not ready yet."""
        return sum(self._slices[name].starting for name in self._of_version.get(version, ()))

    def has_pod(self, key: str, endpoint: str) -> bool:
        """Return whether the pod of an endpoint (`ip:port`) exists and is to stay, ready or not."""
        namespace, _, _ = key.partition("/")
        return any(
            endpoint in self._slices[name].standing
            for version in self.used_versions(key)
            for name in self._of_version.get((namespace, version), ())
        )

    @property
    def versions(self) -> tuple[Name, ...]:
        """All versions whose spec was read."""
        return tuple(self._versions)

    def version(self, version: Name) -> tuple[str, VersionView] | None:
        """Return model name and spec of a version; None before its object was read."""
        view = self._versions.get(version)
        return None if view is None else (self._models[version], view)

    def used_versions(self, key: str) -> frozenset[str]:
        """Return the versions that requests of a model can have; empty for an unknown model."""
        namespace, _, name = key.partition("/")
        record = self.records.get((namespace, name))
        if record is None:
            return frozenset()
        routes = [record.route, record.usable[1] if record.usable else None]
        named = {version for route in routes if route is not None for version in route.versions}
        return frozenset(named | set(record.lingering))

    def fault(self, key: str) -> str:
        """Return the reason for which no replica of a model comes; empty when waiting may help."""
        namespace, _, name = key.partition("/")
        record = self.records.get((namespace, name))
        return record.fault if record is not None else ""

    def peers(self, own: str) -> tuple[str, ...]:
        """Return the addresses of the other gateways, sorted; `own` is the own pod's name."""
        return tuple(
            sorted(
                address
                for part in self._peers.values()
                for address, pod in part.items()
                if pod != own
            )
        )

    def view(self, name: Name, admitted: Callable[[Name], tuple[str, ...]]) -> ModelView | None:
        """Return the view of a model to serve; None without a route that was usable once."""
        record = self.records.get(name)
        if record is None or record.route is None:
            return None
        namespace = record.namespace
        if self._is_usable(namespace, record.route):
            record.usable = (record.route_uid, record.route)
        if record.usable is None:
            return None
        # While a version is missing, the last usable route still gets fresh endpoints.
        uid, route = record.usable
        lingering = tuple(v for v in sorted(record.lingering) if v not in route.versions)
        versions = {
            version: replace(
                self._versions[namespace, version], endpoints=admitted((namespace, version))
            )
            for version in (*route.versions, *lingering)
            if (namespace, version) in self._versions
        }
        return ModelView(
            namespace=namespace,
            name=record.name,
            uid=uid,
            route=route,
            versions=versions,
            lingering=tuple(version for version in lingering if version in versions),
            has_dashed_host=self._owners.get(_dashed(name)) == name,
        )

    def _is_usable(self, namespace: str, route: Route) -> bool:
        return all(
            (namespace, share.version) in self._versions
            for share in route.weights
            if share.weight > 0
        )

    def is_over(self, name: Name) -> bool:
        """Return whether a deleted model has no endpoint left, so that it may be dropped."""
        record = self.records.get(name)
        if record is None:
            return True
        return not record.exists and not any(
            part.ready
            for (namespace, _), part in self._slices.items()
            if namespace == name[0] and part.model == name[1]
        )

    def forget(self, name: Name) -> None:
        """Drop a model that is over; its dashed host goes to the next model that asks for it."""
        if self.records.pop(name, None) is None:
            return
        dashed = _dashed(name)
        self._claims[dashed].discard(name)
        self._settle_host(dashed)
        if not self._claims[dashed]:
            del self._claims[dashed], self._owners[dashed]

    def expire(self) -> None:
        """Drop versions whose time after leaving the route is over; for a call every second."""
        now = self._clock()
        for name, record in list(self.records.items()):
            expired = [version for version, until in record.lingering.items() if until <= now]
            for version in expired:
                del record.lingering[version]
            if expired:
                self.on_model(name)
        for deleted in list(self._deleted_versions):
            if not self._is_used(deleted):
                self._deleted_versions.discard(deleted)
                self._versions.pop(deleted, None)
                self._models.pop(deleted, None)
                self.on_version(deleted)

    def _is_used(self, version: Name) -> bool:
        return version[1] in self.used_versions(f"{version[0]}/{self._models[version]}")
