"""Controller: keeps the wanted Envoy resources in step with the models, reports acknowledged ones.

`watched.models` and `admission` call it for each change, `xds.stream` for each acknowledgement. "In
effect" means that the connected Envoy has acknowledged it. While Envoy reconnects, the last state
stands, since Envoy serves on. Must never wait.
"""

from collections.abc import Callable
from dataclasses import replace

import structlog
from google.protobuf.json_format import ParseError

from modelfleet.facts.identity import Key, bracketed
from modelfleet.facts.route import Route
from modelfleet.facts.traffic import RouteAcknowledgement
from modelfleet.gateway import envoy_names
from modelfleet.gateway.admission.admission import Admission
from modelfleet.gateway.bounds.limits import Serving
from modelfleet.gateway.watched.models import Name, WatchedModels
from modelfleet.gateway.watched.view import GatewaySite
from modelfleet.gateway.xds import builders
from modelfleet.gateway.xds.desired import DesiredResources
from modelfleet.gateway.xds.push_order import PushOrder
from modelfleet.gateway.xds.resource_cache import Projection, ResourceCache
from modelfleet.gateway.xds.resources import CLUSTER, ENDPOINTS, VIRTUAL_HOST, EnvoyResource
from modelfleet.gateway.xds.stream_state import Push
from modelfleet.link.feed import LeaderFeed

log = structlog.get_logger()

REASON_CHARACTERS = 1000


class Controller:
    """The models of one gateway, wanted and in effect."""

    def __init__(
        self,
        site: GatewaySite,
        holder_port: int,
        watched: WatchedModels,
        admission: Admission,
        leader_feed: LeaderFeed,
    ) -> None:
        """`holder_port` is the port at which the other gateways' agents hold requests."""
        self.wanted = DesiredResources()
        self._site = site
        self._holder_port = holder_port
        self._watched = watched
        self._admission = admission
        self._leader_feed = leader_feed
        self._cache = ResourceCache(site)
        self._projections: dict[str, Projection] = {}
        self._in_effect: dict[str, tuple[str, Route]] = {}
        self._live: dict[tuple[str, str], bool] = {}
        self._order: PushOrder | None = None
        self._is_complete = False
        self.on_live: Callable[[str], None] = lambda _: None
        self.share_of: Callable[[str], float | None] = lambda _: None
        self.on_connected: Callable[[], None] = lambda: None
        self.on_gone: Callable[[str], None] = lambda _: None
        self.on_versions: Callable[[str, frozenset[str]], None] = lambda _key, _versions: None
        self.wanted.put(builders.holder_cluster())
        for routes in (envoy_names.ROUTES_CLUSTER, envoy_names.ROUTES_EXTERNAL):
            self.wanted.put(builders.route_configuration(routes))
            self.wanted.put(builders.unknown_host(routes, site))
        self.refresh_holders()

    # -- wanted -----------------------------------------------------------------------------

    def refresh_holders(self) -> None:
        """Update the holders: the other gateways have changed."""
        peers = self._watched.peers(self._site.gateway)
        hosts = map(bracketed, peers)
        others = tuple(f"{host}:{self._holder_port}" for host in hosts)
        self.wanted.put(builders.holder_endpoints(self._site.own_holder, others))

    def refresh(self, name: Name) -> None:
        """Update a model: its route, versions or endpoints may have changed."""
        key = str(Key(*name))
        if self._watched.is_over(name):
            self._forget(name, key)
            return
        view = self._watched.view(name, self._admission.admitted)
        if view is None:
            return
        old = self._projections.get(key)
        try:
            new = self._cache.project(replace(view, share=self.share_of(key)))
        except (ParseError, ValueError) as error:
            # A number that fits no Envoy field: handled like a refusal, other models go on.
            self._leader_feed.reject(key, str(error)[:REASON_CHARACTERS])
            return
        self._projections[key] = new
        self.wanted.replace(old.resources if old else (), new.resources)
        if old is not None and len(old.endpoints) > len(new.endpoints):
            self.on_versions(key, frozenset(view.versions))
        if old is None or old.route.revision != new.route.revision or old.uid != new.uid:
            self._report(key)

    def _forget(self, name: Name, key: str) -> None:
        self._watched.forget(name)
        self._cache.forget(key)
        old = self._projections.pop(key, None)
        if old is None:
            return
        self.wanted.replace(old.resources, ())
        self._in_effect.pop(key, None)
        for version_key in [version_key for version_key in self._live if version_key[0] == key]:
            del self._live[version_key]
        self._leader_feed.forget(key)
        self.on_live(key)
        self.on_gone(key)

    # -- in effect --------------------------------------------------------------------------

    def connected(self, order: PushOrder | None) -> None:
        """Follow a new discovery stream; nothing of it counts before it is complete."""
        self._order = order
        self._is_complete = False
        self.on_connected()

    def accepted(self, order: PushOrder, push: Push) -> None:
        """Take Envoy's acknowledgement of a response."""
        if order is not self._order:
            return
        if not self._is_complete:
            self._report_all(order)
            return
        touched = {resource.owner for resource in push.resources}
        if push.removed and push.kind == VIRTUAL_HOST:
            touched.update(self._projections)
        for key in sorted(touched):
            self._report(key)

    def refused(self, order: PushOrder, resource: EnvoyResource, reason: str) -> None:
        """Take Envoy's refusal of a single resource: its model keeps the resource of before."""
        if resource.owner:
            self._leader_feed.reject(resource.owner, reason[:REASON_CHARACTERS])
        else:
            log.error("envoy refused shared resource", name=resource.name, reason=reason)
        if order is self._order and not self._is_complete:
            self._report_all(order)

    def _report_all(self, order: PushOrder) -> None:
        if not order.is_complete():
            return
        self._is_complete = True
        for key in list(self._projections):
            self._report(key)

    @property
    def is_in_effect(self) -> bool:
        """Whether the connected Envoy once acknowledged a complete configuration."""
        return self._order is not None and self._is_complete

    def route(self, key: str) -> Route | None:
        """Return the newest route of a model."""
        projection = self._projections.get(key)
        return projection.route if projection else None

    def is_live(self, key: str, version: str) -> bool:
        """Return whether a request held for `version` would find a replica in Envoy now."""
        return self._live.get((key, version), False)

    def replicas(self, key: str, version: str) -> tuple[str, ...]:
        """Return the endpoints that Envoy has for this version."""
        projection = self._projections.get(key)
        name = envoy_names.pods_cluster(Key.parse(key).namespace, version)
        endpoints = projection.endpoints if projection is not None else ()
        return next((part.addresses for part in endpoints if part.name == name), ())

    def behind(self, key: str, version: str) -> tuple[str, ...]:
        """Return the endpoints that Envoy has for a request of this version, also other ones'."""
        projection = self._projections.get(key)
        route = projection.route if projection else None
        weighted = route is not None and route.weight_of(version) > 0
        others = () if route is None or weighted else route.versions
        chain = dict.fromkeys((version, *others))
        return tuple(endpoint for name in chain for endpoint in self.replicas(key, name))

    def has_pod(self, key: str, endpoint: str) -> bool:
        """Return whether the pod of an endpoint exists and is to stay, ready or not."""
        return self._watched.has_pod(key, endpoint)

    def is_starting(self, key: str, version: str) -> bool:
        """Return whether a replica of this version exists that is not ready yet."""
        return self._watched.starting((Key.parse(key).namespace, version)) > 0

    def fault(self, key: str) -> str:
        """Return the reason for which no replica of a model comes; empty when waiting may help."""
        return self._watched.fault(key)

    def longest_request_seconds(self) -> float:
        """Return the longest time that a request under way may take by its route, streams apart."""
        routes = (self.route(key) for key in self._projections)
        return max(
            (r.hold_max_seconds + r.request_timeout_seconds for r in routes if r is not None),
            default=0.0,
        )

    def serving(self, key: str, version: str) -> Serving | None:
        """Return how a version is served here; None when it is not."""
        projection = self._projections.get(key)
        if projection is None:
            return None
        namespace = Key.parse(key).namespace
        name = envoy_names.pods_cluster(namespace, version)
        if all(part.name != name for part in projection.endpoints):
            return None
        starting = self._watched.starting((namespace, version))
        gateways = 1 + len(self._watched.peers(self._site.gateway))
        replicas = len(self.replicas(key, version))
        return Serving(projection.route, replicas, starting, gateways)

    def _report(self, key: str) -> None:
        order, projection = self._order, self._projections.get(key)
        if order is None or projection is None or not self._is_complete:
            return
        if self._has_all(order, projection):
            self._in_effect[key] = (projection.uid, projection.route)
            self._leader_feed.accept(key)
        addresses = self._addresses(order, projection)
        self._wake_versions(key, projection, addresses)
        in_effect = self._in_effect.get(key)
        if in_effect is None:
            return
        uid, route = in_effect
        endpoints = {version: addresses.get(version, ()) for version in route.versions}
        self._leader_feed.acknowledge(
            key, RouteAcknowledgement(uid, route.revision, route.content_hash, endpoints)
        )

    @staticmethod
    def _has_all(order: PushOrder, projection: Projection) -> bool:
        """Return whether Envoy has all clusters and hosts of the route, and no removed host."""
        parts = (*projection.clusters, *projection.hosts)
        if not all(order.has(resource) for resource in parts):
            return False
        namespace, model = Key.parse(projection.key)
        outside = envoy_names.virtual_host(envoy_names.ROUTES_EXTERNAL, namespace, model)
        is_external = any(host.name == outside for host in projection.hosts)
        return is_external or not order.tracks[VIRTUAL_HOST].has(outside)

    @staticmethod
    def _addresses(order: PushOrder, projection: Projection) -> dict[str, tuple[str, ...]]:
        """Return acknowledged endpoints by version, only of clusters that Envoy has."""
        addresses = {}
        namespace = Key.parse(projection.key).namespace
        acked = order.tracks[ENDPOINTS].acked
        for resource in projection.endpoints:
            version = resource.name.removeprefix(f"{namespace}/").removesuffix("/pods")
            acknowledged = acked.get(resource.name)
            if acknowledged is not None and order.tracks[CLUSTER].has(resource.name):
                addresses[version] = acknowledged.addresses
        return addresses

    def _wake_versions(
        self, key: str, projection: Projection, addresses_by_version: dict[str, tuple[str, ...]]
    ) -> None:
        served = {version for version, addresses in addresses_by_version.items() if addresses}
        weighted = {share.version for share in projection.route.weights if share.weight > 0}
        has_new_replica = False
        for version in addresses_by_version:
            behind = {version} if version in weighted else {version, *weighted}
            is_live = bool(behind & served)
            has_new_replica |= is_live and not self._live.get((key, version), False)
            self._live[key, version] = is_live
        if has_new_replica:
            self.on_live(key)
