"""Resource cache: one cache for each model before `xds.builders`, so that only changes are built.

`xds.controller` calls it whenever a model may have changed. Must never decide anything.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from modelfleet.facts.route import Route
from modelfleet.gateway import envoy_names
from modelfleet.gateway.watched.view import GatewaySite, ModelView
from modelfleet.gateway.xds import builders
from modelfleet.gateway.xds.resources import EnvoyResource


@dataclass(frozen=True, slots=True)
class Projection:
    """One model as Envoy resources, and which of them are for its route and its endpoints."""

    key: str
    uid: str
    route: Route
    clusters: tuple[EnvoyResource, ...]
    endpoints: tuple[EnvoyResource, ...]
    hosts: tuple[EnvoyResource, ...]

    @property
    def resources(self) -> tuple[EnvoyResource, ...]:
        """All of them, clusters first."""
        return (*self.clusters, *self.endpoints, *self.hosts)


_BuiltParts = dict[Hashable, tuple[Hashable, EnvoyResource]]
"""Part of a model to the input that it was built from, and the result."""


@dataclass(slots=True)
class _OpenProjection:
    """One projection under way: it reuses parts of the last one that have the same input."""

    old: _BuiltParts
    new: _BuiltParts = field(default_factory=dict)

    def part(
        self, name: Hashable, source: Hashable, build: Callable[[], EnvoyResource]
    ) -> EnvoyResource:
        """Return the part of that name, built only when its input differs."""
        built = self.old.get(name)
        if built is None or built[0] != source:
            built = (source, build())
        self.new[name] = built
        return built[1]


@dataclass(slots=True)
class ResourceCache:
    """Projects models of one gateway, and stores each part with its input."""

    site: GatewaySite
    _built: dict[str, _BuiltParts] = field(default_factory=dict)

    def project(self, view: ModelView) -> Projection:
        """Return all resources of a model; parts with unchanged input are the same objects."""
        parts = _OpenProjection(self._built.get(view.key, {}))
        clusters: list[EnvoyResource] = []
        endpoints: list[EnvoyResource] = []
        for version in (*view.route.versions, *view.lingering):
            if version not in view.versions:
                continue  # of weight 0, and its object was not read yet (or was deleted)
            clusters += self._clusters(view, version, parts)
            endpoints.append(self._endpoints(view, version, parts))
        listeners = [envoy_names.ROUTES_CLUSTER]
        if view.route.exposure == "External":
            listeners.append(envoy_names.ROUTES_EXTERNAL)
        hosts = tuple(self._host(view, routes, parts) for routes in listeners)
        self._built[view.key] = parts.new
        return Projection(view.key, view.uid, view.route, tuple(clusters), tuple(endpoints), hosts)

    def forget(self, key: str) -> None:
        """Drop the parts of a model."""
        self._built.pop(key, None)

    @staticmethod
    def _clusters(
        view: ModelView, version: str, parts: _OpenProjection
    ) -> tuple[EnvoyResource, EnvoyResource]:
        pods = envoy_names.pods_cluster(view.namespace, version)
        front = envoy_names.version_cluster(view.namespace, version)
        protocol = view.versions[version].protocol
        chain = builders.members(view, version)
        return (
            parts.part(
                pods, protocol, lambda: builders.build_pods_cluster(pods, protocol, view.key)
            ),
            parts.part(
                front, chain, lambda: builders.build_version_cluster(front, chain, view.key)
            ),
        )

    @staticmethod
    def _endpoints(view: ModelView, version: str, parts: _OpenProjection) -> EnvoyResource:
        pods = envoy_names.pods_cluster(view.namespace, version)
        addresses = view.versions[version].endpoints
        return parts.part(
            ("endpoints", pods), addresses, lambda: builders.endpoints(pods, addresses, view.key)
        )

    def _host(self, view: ModelView, routes: str, parts: _OpenProjection) -> EnvoyResource:
        return parts.part(
            ("host", routes),
            (view.route.content_hash, view.has_dashed_host, view.share),
            lambda: builders.build_virtual_host(view, routes, self.site),
        )
