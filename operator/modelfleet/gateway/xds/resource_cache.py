"""Builds only what changed: `builders` behind one cache for each model.

Called by `controller` whenever a model may have changed. Must never decide anything.
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
    """One model as Envoy resources, and which of them carry its route and its endpoints."""

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


_Made = dict[Hashable, tuple[Hashable, EnvoyResource]]
"""Part of a model to what it was made of, and the result."""


@dataclass(slots=True)
class _OpenProjection:
    """One projection under way: takes from the last one what was made of the same."""

    old: _Made
    new: _Made = field(default_factory=dict)

    def part(
        self, name: Hashable, made_of: Hashable, build: Callable[[], EnvoyResource]
    ) -> EnvoyResource:
        """The part of that name, built only when what it is made of differs."""
        found = self.old.get(name)
        if found is None or found[0] != made_of:
            found = (made_of, build())
        self.new[name] = found
        return found[1]


@dataclass(slots=True)
class ResourceCache:
    """Projects models of one gateway, remembering each part with what it was made of."""

    site: GatewaySite
    _made: dict[str, _Made] = field(default_factory=dict)

    def project(self, view: ModelView) -> Projection:
        """All resources of a model; parts whose input did not change are the same objects."""
        parts = _OpenProjection(self._made.get(view.key, {}))
        clusters: list[EnvoyResource] = []
        endpoints: list[EnvoyResource] = []
        for version in (*view.route.versions, *view.lingering):
            if version not in view.versions:
                continue  # of weight 0, and its object has not come (or is gone)
            clusters += self._clusters(view, version, parts)
            endpoints.append(self._endpoints(view, version, parts))
        listeners = [envoy_names.ROUTES_CLUSTER]
        if view.route.exposure == "External":
            listeners.append(envoy_names.ROUTES_EXTERNAL)
        hosts = tuple(self._host(view, routes, parts) for routes in listeners)
        self._made[view.key] = parts.new
        return Projection(view.key, view.uid, view.route, tuple(clusters), tuple(endpoints), hosts)

    def forget(self, key: str) -> None:
        """Drop what was remembered of a model."""
        self._made.pop(key, None)

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
        found = view.versions[version].endpoints
        return parts.part(
            ("endpoints", pods), found, lambda: builders.endpoints(pods, found, view.key)
        )

    def _host(self, view: ModelView, routes: str, parts: _OpenProjection) -> EnvoyResource:
        return parts.part(
            ("host", routes),
            (view.route.content_hash, view.has_dashed_host, view.share),
            lambda: builders.build_virtual_host(view, routes, self.site),
        )
