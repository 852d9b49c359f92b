"""Keeps what Envoy should have in step with the fleet, and tells what it has.

Called by `models` and `admission` for each change and by `stream` for each acknowledgement.
"In effect" is said only of what the connected Envoy acknowledged; while it reconnects, the last
known state stands, since it serves on. Must never wait.
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
        fleet: WatchedModels,
        admission: Admission,
        board: LeaderFeed,
    ) -> None:
        """`holder_port` is where the other gateways' agents hold."""
        self.wanted = DesiredResources()
        self._site = site
        self._holder_port = holder_port
        self._fleet = fleet
        self._admission = admission
        self._board = board
        self._projector = ResourceCache(site)
        self._projections: dict[str, Projection] = {}
        self._in_effect: dict[str, tuple[str, Route]] = {}
        self._live: dict[tuple[str, str], bool] = {}
        self._order: PushOrder | None = None
        self._is_settled = False
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
        """The other gateways came or went."""
        peers = self._fleet.peers(self._site.gateway)
        hosts = map(bracketed, peers)
        others = tuple(f"{host}:{self._holder_port}" for host in hosts)
        self.wanted.put(builders.holder_endpoints(self._site.own_holder, others))

    def refresh(self, name: Name) -> None:
        """A model's route, versions or endpoints may have changed."""
        key = str(Key(*name))
        if self._fleet.is_over(name):
            self._forget(name, key)
            return
        view = self._fleet.view(name, self._admission.admitted)
        if view is None:
            return
        old = self._projections.get(key)
        try:
            new = self._projector.project(replace(view, share=self.share_of(key)))
        except (ParseError, ValueError) as error:
            # A number that fits no Envoy field: quarantined like a refusal, the rest goes on.
            self._board.reject(key, str(error)[:REASON_CHARACTERS])
            return
        self._projections[key] = new
        self.wanted.replace(old.resources if old else (), new.resources)
        if old is not None and len(old.endpoints) > len(new.endpoints):
            self.on_versions(key, frozenset(view.versions))
        if old is None or old.route.revision != new.route.revision or old.uid != new.uid:
            self._settle(key)

    def _forget(self, name: Name, key: str) -> None:
        self._fleet.forget(name)
        self._projector.forget(key)
        old = self._projections.pop(key, None)
        if old is None:
            return
        self.wanted.replace(old.resources, ())
        self._in_effect.pop(key, None)
        for place in [place for place in self._live if place[0] == key]:
            del self._live[place]
        self._board.forget(key)
        self.on_live(key)
        self.on_gone(key)

    # -- in effect --------------------------------------------------------------------------

    def connected(self, order: PushOrder | None) -> None:
        """A new discovery stream counts from now on; it has to be complete before it speaks."""
        self._order = order
        self._is_settled = False
        self.on_connected()

    def accepted(self, order: PushOrder, push: Push) -> None:
        """Envoy took a response."""
        if order is not self._order:
            return
        if not self._is_settled:
            self._settle_all(order)
            return
        touched = {resource.owner for resource in push.resources}
        if push.removed and push.kind == VIRTUAL_HOST:
            touched.update(self._projections)
        for key in sorted(touched):
            self._settle(key)

    def refused(self, order: PushOrder, resource: EnvoyResource, reason: str) -> None:
        """Envoy refused one resource alone: its model keeps what it had."""
        if resource.owner:
            self._board.reject(resource.owner, reason[:REASON_CHARACTERS])
        else:
            log.error("envoy_refused_shared_resource", name=resource.name, reason=reason)
        if order is self._order and not self._is_settled:
            self._settle_all(order)

    def _settle_all(self, order: PushOrder) -> None:
        if not order.is_complete():
            return
        self._is_settled = True
        for key in list(self._projections):
            self._settle(key)

    @property
    def is_in_effect(self) -> bool:
        """Whether the connected Envoy once acknowledged a complete configuration."""
        return self._order is not None and self._is_settled

    def route(self, key: str) -> Route | None:
        """The newest route of a model."""
        found = self._projections.get(key)
        return found.route if found else None

    def is_live(self, key: str, version: str) -> bool:
        """Whether a request that waits for `version` would find a replica in Envoy now."""
        return self._live.get((key, version), False)

    def serving(self, key: str, version: str) -> Serving | None:
        """How a version is served here; None when it is not."""
        projection = self._projections.get(key)
        if projection is None:
            return None
        namespace = Key.parse(key).namespace
        name = envoy_names.pods_cluster(namespace, version)
        fed = next((one for one in projection.endpoints if one.name == name), None)
        if fed is None:
            return None
        starting = self._fleet.starting((namespace, version))
        gateways = 1 + len(self._fleet.peers(self._site.gateway))
        return Serving(projection.route, len(fed.addresses), starting, gateways)

    def _settle(self, key: str) -> None:
        order, projection = self._order, self._projections.get(key)
        if order is None or projection is None or not self._is_settled:
            return
        if self._has_all(order, projection):
            self._in_effect[key] = (projection.uid, projection.route)
            self._board.accept(key)
        found = self._addresses(order, projection)
        self._revive(key, projection, found)
        effect = self._in_effect.get(key)
        if effect is None:
            return
        uid, route = effect
        endpoints = {version: found.get(version, ()) for version in route.versions}
        self._board.acknowledge(
            key, RouteAcknowledgement(uid, route.revision, route.content_hash, endpoints)
        )

    @staticmethod
    def _has_all(order: PushOrder, projection: Projection) -> bool:
        """The clusters and hosts of the route, and no host that should be gone."""
        parts = (*projection.clusters, *projection.hosts)
        if not all(order.has(resource) for resource in parts):
            return False
        namespace, model = Key.parse(projection.key)
        outside = envoy_names.virtual_host(envoy_names.ROUTES_EXTERNAL, namespace, model)
        is_external = any(host.name == outside for host in projection.hosts)
        return is_external or not order.tracks[VIRTUAL_HOST].has(outside)

    @staticmethod
    def _addresses(order: PushOrder, projection: Projection) -> dict[str, tuple[str, ...]]:
        """Acknowledged endpoints by version, only of clusters that Envoy has."""
        found = {}
        namespace = Key.parse(projection.key).namespace
        acked = order.tracks[ENDPOINTS].acked
        for resource in projection.endpoints:
            version = resource.name.removeprefix(f"{namespace}/").removesuffix("/pods")
            known = acked.get(resource.name)
            if known is not None and order.tracks[CLUSTER].has(resource.name):
                found[version] = known.addresses
        return found

    def _revive(self, key: str, projection: Projection, found: dict[str, tuple[str, ...]]) -> None:
        served = {version for version, addresses in found.items() if addresses}
        weighted = {share.version for share in projection.route.weights if share.weight > 0}
        woken = False
        for version in found:
            behind = {version} if version in weighted else {version, *weighted}
            is_live = bool(behind & served)
            woken |= is_live and not self._live.get((key, version), False)
            self._live[key, version] = is_live
        if woken:
            self.on_live(key)
