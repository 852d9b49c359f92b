"""The agent of one gateway pod, put together: discovery, access log, holder, link, health.

Constructed by `main`, which feeds the watches into `put`, `delete` and `synced`, and runs it.
Everything from outside is injectable by `Overrides`. Must never talk to the Kubernetes API itself.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from modelfleet.api import names
from modelfleet.facts.identity import Key
from modelfleet.facts.traffic import GatewaySample
from modelfleet.gateway import envoy_names
from modelfleet.gateway.admission.admission import Admission, Prober
from modelfleet.gateway.admission.http_probe import HttpProber
from modelfleet.gateway.bounds.fairness import Shares
from modelfleet.gateway.bounds.limits import RequestLimits
from modelfleet.gateway.envoy_admin import EnvoyAdmin
from modelfleet.gateway.requests.access_log import AccessLog
from modelfleet.gateway.requests.counters import TrafficCounters
from modelfleet.gateway.requests.holder import Holder, HolderClocks
from modelfleet.gateway.traffic_metrics import TrafficCollector
from modelfleet.gateway.watched.models import Name, WatchedModels
from modelfleet.gateway.watched.view import GatewaySite
from modelfleet.gateway.xds.controller import Controller
from modelfleet.gateway.xds.desired import DesiredResources
from modelfleet.gateway.xds.push_order import PushOrder
from modelfleet.gateway.xds.stream import Discovery
from modelfleet.link.feed import LeaderFeed
from modelfleet.link.link_server import LinkServer
from modelfleet.telemetry.endpoints import health_application

log = structlog.get_logger()

SAMPLE_SECONDS = 1.0
MAX_SAMPLES = 10
"""Samples that wait for an Envoy that does not answer; later ones are not needed then."""
RECONCILE_SECONDS = 5.0
DRAIN_LOOK_SECONDS = 0.2
LISTEN_LOOK_SECONDS = 0.05
QUIET_LOOKS = 2
"""A request may arrive between two looks: one look without any is not the end."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Where and for whom the agent runs. `gateway` is the pod's name; times in seconds.

    `propagation_seconds`: how long after readiness ended new connections may still come.
    `drain_seconds`: the longest that requests under way are waited for after that;
    `idle_seconds`: the longest that idle connections are.
    """

    gateway: str
    namespace: str
    run_dir: Path = Path("/run/modelfleet")
    link_dir: Path = Path("/etc/modelfleet/link")
    domain: str = "localhost"
    cluster_domain: str = "cluster.local"
    address: str = "0.0.0.0"  # noqa: S104 - a pod's ports serve its whole network
    loopback: str = "127.0.0.1"
    holder_port: int = names.PORT_HOLDER
    link_port: int = names.PORT_LINK
    health_port: int = names.PORT_AGENT_HEALTH
    propagation_seconds: float = 5.0
    drain_seconds: float = 120.0
    idle_seconds: float = 30.0
    hold_max_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Overrides:
    """What tests replace. `started` names this life of the agent in the link's first line."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    prober: Prober | None = None
    new_order: Callable[[DesiredResources], PushOrder] = PushOrder
    started: str = field(default_factory=lambda: str(time.time_ns()))


class Agent:
    """One gateway's agent. Feed it from the start; it answers Envoy after `synced`."""

    def __init__(self, config: AgentConfig, parts: Overrides | None = None) -> None:
        """Nothing runs before `run`."""
        self.config = config
        self._parts = parts or Overrides()
        clock = self._parts.clock
        self.board = LeaderFeed(config.gateway, self._parts.started)
        self.fleet = WatchedModels(config.namespace, clock)
        self.traffic = TrafficCounters(clock)
        self.board.answered = self.traffic.answered
        self.admission = Admission(self._parts.prober or _NoProber(), self.board)
        site = GatewaySite(
            config.gateway,
            config.domain,
            config.cluster_domain,
            f"{config.loopback}:{config.holder_port}",
        )
        self.configuration = Controller(
            site, config.holder_port, self.fleet, self.admission, self.board
        )
        self.holder = Holder(
            self.configuration,
            self.traffic,
            HolderClocks(clock, self._parts.wall),
            self.board.hold,
            config.hold_max_bytes,
        )
        self.limits, self.shares = RequestLimits(clock), Shares(clock)
        self._log = AccessLog(self.traffic)
        self._discovery = Discovery(
            self.configuration.wanted, self.configuration, self._parts.new_order
        )
        self.admin = EnvoyAdmin(str(config.run_dir / envoy_names.ADMIN_SOCKET))
        self._is_synced = False
        self._is_stopping = False
        self._listens = False
        self._sampled: asyncio.Queue[GatewaySample] = asyncio.Queue(MAX_SAMPLES)
        self.configuration.share_of = self.shares.share
        self.configuration.on_connected = self.limits.restart
        self.configuration.on_live = self.holder.wake
        self.configuration.on_gone = self._forget_traffic
        self.configuration.on_versions = self._forget_traffic

    # -- the feed ---------------------------------------------------------------------------

    def put(self, kind: str, obj: Mapping[str, Any]) -> None:
        """An MLModel, MLModelVersion or EndpointSlice as it is now."""
        self.fleet.put(kind, obj)

    def delete(self, kind: str, obj: Mapping[str, Any]) -> None:
        """The object is gone."""
        self.fleet.delete(kind, obj)

    def synced(self) -> None:
        """All watches have delivered what existed: from now on Envoy is answered (rule 11)."""
        if self._is_synced:
            return
        self._is_synced = True
        for version in self.fleet.versions:
            self._refresh_version(version)
        self.admission.begin()
        self.fleet.on_version = self._refresh_version
        self.fleet.on_model = self.configuration.refresh
        self.fleet.on_peers = self.configuration.refresh_holders
        self.admission.on_change = self._refresh_model_of
        self.configuration.refresh_holders()
        for name in list(self.fleet.records):
            self.configuration.refresh(name)
        self.holder.begin()
        self._discovery.open()

    def _refresh_version(self, name: Name) -> None:
        found = self.fleet.version(name)
        if found is None:
            self.admission.forget(name)
            return
        model, seen = found
        self.admission.update(name, model, seen.probe, self.fleet.ready(name))

    def _refresh_model_of(self, name: Name) -> None:
        found = self.fleet.version(name)
        if found is not None:
            self.configuration.refresh((name[0], found[0]))

    def _forget_traffic(self, key: str, versions: frozenset[str] = frozenset()) -> None:
        self.traffic.forget(key, versions)
        self.limits.forget(key, versions)
        if not versions:
            self.shares.forget(key)
        self._log.forget()

    # -- life -------------------------------------------------------------------------------

    def why_not_ready(self) -> str:
        """Empty when this gateway may get traffic."""
        if self._is_stopping:
            return "stopping"
        if not self._is_synced:
            return "the watches are not complete"
        if not self.configuration.is_in_effect:
            return "Envoy has not acknowledged a complete configuration"
        if not self._listens:
            return "Envoy does not listen yet"
        return ""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then drain and return; on cancellation leave at once."""
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            if self._parts.prober is None:
                self.admission.use(HttpProber(session))
            stack.push_async_callback(self.admission.close)
            await self._serve_envoy(stack)
            await self._serve_http(stack)
            tasks = [
                asyncio.create_task(work, name=name)
                for name, work in (
                    ("link", self._link().run()),
                    ("sample", self._sample()),
                    ("bound", self._bound()),
                    ("reconcile", self._reconcile()),
                    ("listens", self._watch_listeners()),
                )
            ]
            stack.push_async_callback(_end, tasks)
            stopping = asyncio.create_task(stop.wait())
            stack.push_async_callback(_end, [stopping])
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            await self._drain()

    def _link(self) -> LinkServer:
        config = self.config
        return LinkServer(self.board, config.link_dir, config.address, config.link_port)

    async def _serve_envoy(self, stack: contextlib.AsyncExitStack) -> None:
        path = self.config.run_dir / envoy_names.DISCOVERY_SOCKET
        await asyncio.to_thread(path.unlink, missing_ok=True)
        server = grpc.aio.server()
        self._discovery.register(server)
        self._log.register(server)
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        stack.push_async_callback(server.stop, 0)

    async def _serve_http(self, stack: contextlib.AsyncExitStack) -> None:
        holding = web.Application(client_max_size=0)
        holding.router.add_route("*", "/{path:.*}", self.holder.handle)
        registry = CollectorRegistry()
        registry.register(TrafficCollector(self.traffic, lambda: self.holder.held))
        health = health_application(self._waiting, registry=registry)
        ports = (
            (holding, self.config.holder_port),
            (health, self.config.health_port),
        )
        for application, port in ports:
            runner = web.AppRunner(
                application,
                access_log=None,
                handler_cancellation=True,
                keepalive_timeout=3600.0,
                shutdown_timeout=1.0,
            )
            await runner.setup()
            await web.TCPSite(runner, self.config.address, port, backlog=4096).start()
            stack.push_async_callback(runner.cleanup)

    def _waiting(self) -> list[str]:
        why = self.why_not_ready()
        return [why] if why else []

    async def _watch_listeners(self) -> None:
        """Envoy opens its ports a moment after it acknowledged what they serve."""
        while True:
            if not self.configuration.is_in_effect:
                self._listens = False
            elif not self._listens:
                self._listens = await self.admin.listens()
            await asyncio.sleep(LISTEN_LOOK_SECONDS)

    async def _sample(self) -> None:
        before = self._parts.clock()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            now = self._parts.clock()
            sample = self.traffic.take(self.config.gateway, now - before, self.holder.held)
            before = now
            self.board.sample(sample)
            # Between two leaders the start of the next may slow answers down: no news of the model.
            if self.board.has_reader:
                self.traffic.remember(sample)
            if not self._sampled.full():
                self._sampled.put_nowait(sample)
            self.fleet.expire()

    async def _bound(self) -> None:
        """Have Envoy bound what is under way; apart from the sampler, which must not wait."""
        while True:
            sample = await self._sampled.get()
            changes = self.limits.after(sample, self.configuration.serving)
            if changes and not await self.admin.bound(changes):
                self.limits.restart()
            clients = self.traffic.watch_clients(self.shares.watched)
            for key in self.shares.after(sample, clients, self.limits.capacity):
                self.configuration.refresh(Key.parse(key))

    async def _reconcile(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            found = await self.admin.in_flight()
            if found is None:
                continue
            self.traffic.reconcile(
                {
                    (str(Key(namespace, seen[0])), version, endpoint): number
                    for (namespace, version, endpoint), number in found.items()
                    if (seen := self.fleet.version((namespace, version))) is not None
                }
            )

    async def _drain(self) -> None:
        """Not ready first; serve on until clients have gone elsewhere and requests have ended."""
        self._is_stopping = True
        log.info("draining", seconds=self.config.drain_seconds)
        await asyncio.sleep(self.config.propagation_seconds)
        await self.admin.begin_drain()
        began = self._parts.clock()
        quiet = 0
        while quiet < QUIET_LOOKS and self._parts.clock() < began + self.config.drain_seconds:
            # An idle connection may bring one more request (its answer then asks to close it),
            # so it is waited for too, but not as long: it may be idle for ever.
            is_patient = self._parts.clock() < began + self.config.idle_seconds
            is_busy = await self.admin.active() or (is_patient and await self.admin.connections())
            quiet = 0 if is_busy else quiet + 1
            await asyncio.sleep(DRAIN_LOOK_SECONDS)
        self.holder.leave()
        # The bounces have to leave before the sockets close.
        await asyncio.sleep(DRAIN_LOOK_SECONDS)
        log.info("drained", is_quiet=quiet >= QUIET_LOOKS)


class _NoProber:
    """Stands in until the agent runs; nothing is asked before `synced`."""

    async def ask(self, endpoint: str, spec: Any) -> Any:
        msg = f"nobody can ask {endpoint} about {spec} yet"
        raise RuntimeError(msg)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
