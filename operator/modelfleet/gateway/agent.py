"""The agent of one gateway pod: discovery, access log, holder, link and health as one value.

`compose.agent` constructs it and passes the watched objects to `put`, `delete` and `synced`. Tests
replace everything from outside by `Overrides`. Must never call the Kubernetes API itself.
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

from modelfleet.api import names
from modelfleet.facts.identity import Key
from modelfleet.facts.route import Exposure
from modelfleet.facts.traffic import GatewaySample
from modelfleet.gateway import envoy_names
from modelfleet.gateway.admission.admission import Admission, Prober
from modelfleet.gateway.admission.http_probe import HttpProber
from modelfleet.gateway.bounds.fairness import Shares
from modelfleet.gateway.bounds.limits import RequestLimits
from modelfleet.gateway.envoy_admin import EnvoyAdmin
from modelfleet.gateway.requests.access_log import AccessLog
from modelfleet.gateway.requests.counters import TrafficCounters
from modelfleet.gateway.requests.envoy_server import EnvoyServer
from modelfleet.gateway.requests.holder import Holder, HolderClocks
from modelfleet.gateway.traffic_metrics import agent_registry
from modelfleet.gateway.watched.models import Name, WatchedModels
from modelfleet.gateway.watched.view import GatewaySite
from modelfleet.gateway.xds.controller import Controller
from modelfleet.gateway.xds.desired import DesiredResources
from modelfleet.gateway.xds.push_order import PushOrder
from modelfleet.gateway.xds.stream import Discovery
from modelfleet.link.feed import LeaderFeed
from modelfleet.link.link_server import LinkServer
from modelfleet.listening import listening_socket
from modelfleet.telemetry.endpoints import health_application

log = structlog.get_logger()

SAMPLE_SECONDS = 1.0
MAX_SAMPLES = 10
"""Samples that wait for an Envoy that does not answer; later ones are not needed then."""
RECONCILE_SECONDS = 5.0
DRAIN_LOOK_SECONDS = 0.2
LISTEN_LOOK_SECONDS = 0.05
QUIET_LOOKS = 2
"""Looks without any request before the drain ends: a request may arrive between two looks."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Addresses, ports and times of an agent. `gateway` is the pod's name; times in seconds.

    An empty `address` is every one of the pod. `model_requests`: most requests of one version at
    replicas.

    `propagation_seconds`: for how long after readiness ended new connections may still come.
    `drain_seconds`: the longest wait after that for requests under way, or for as long as the
    slowest route allows, if that is longer. `idle_seconds`: the longest wait for idle connections.
    """

    gateway: str
    namespace: str
    run_dir: Path = Path("/run/modelfleet")
    link_dir: Path = Path("/etc/modelfleet/link")
    domain: str = "localhost"
    cluster_domain: str = "cluster.local"
    default_exposure: Exposure = "Cluster"
    address: str = ""
    loopback: str = "127.0.0.1"
    holder_port: int = names.PORT_HOLDER
    link_port: int = names.PORT_LINK
    health_port: int = names.PORT_AGENT_HEALTH
    propagation_seconds: float = 5.0
    drain_seconds: float = 120.0
    idle_seconds: float = 30.0
    hold_max_bytes: int = 512 * 1024 * 1024
    model_requests: int = 10_000


@dataclass(frozen=True, slots=True)
class Overrides:
    """Parts that tests replace. `started` names this start of the agent in the link's `Hello`."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    prober: Prober | None = None
    new_order: Callable[[DesiredResources], PushOrder] = PushOrder
    started: str = field(default_factory=lambda: str(time.time_ns()))


class Agent:
    """One gateway's agent. It takes objects from the start, and answers Envoy after `synced`."""

    def __init__(self, config: AgentConfig, overrides: Overrides | None = None) -> None:
        """Nothing runs before `run`."""
        self.config = config
        self._overrides = overrides or Overrides()
        clock = self._overrides.clock
        self.leader_feed = LeaderFeed(config.gateway, self._overrides.started)
        self.watched = WatchedModels(config.namespace, clock, config.default_exposure)
        self.traffic = TrafficCounters(clock)
        self.leader_feed.answered = self.traffic.answered
        self.admission = Admission(self._overrides.prober or _NoProber(), self.leader_feed)
        site = GatewaySite(
            config.gateway,
            config.domain,
            config.cluster_domain,
            f"{config.loopback}:{config.holder_port}",
        )
        self.configuration = Controller(
            site, config.holder_port, self.watched, self.admission, self.leader_feed
        )
        self.holder = Holder(
            self.configuration,
            self.traffic,
            HolderClocks(clock, self._overrides.wall),
            self.leader_feed.set_held,
            config.hold_max_bytes,
        )
        self.limits, self.shares = RequestLimits(clock, config.model_requests), Shares(clock)
        self._log = AccessLog(self.traffic)
        self._discovery = Discovery(
            self.configuration.wanted, self.configuration, self._overrides.new_order
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

    # -- watched objects --------------------------------------------------------------------

    def put(self, kind: str, obj: Mapping[str, Any]) -> None:
        """Take an MLModel, MLModelVersion or EndpointSlice as it is now."""
        self.watched.put(kind, obj)

    def delete(self, kind: str, obj: Mapping[str, Any]) -> None:
        """Take the deletion of an object."""
        self.watched.delete(kind, obj)

    def synced(self) -> None:
        """Begin to answer Envoy: all watches have delivered the objects that existed.

        Envoy gets nothing before that, because an incomplete answer would delete clusters.
        """
        if self._is_synced:
            return
        self._is_synced = True
        for version in self.watched.versions:
            self._refresh_version(version)
        self.admission.begin()
        self.watched.on_version = self._refresh_version
        self.watched.on_model = self.configuration.refresh
        self.watched.on_peers = self.configuration.refresh_holders
        self.admission.on_change = self._refresh_model_of
        self.configuration.refresh_holders()
        for name in list(self.watched.records):
            self.configuration.refresh(name)
        self.holder.begin()
        self._discovery.open()

    def _refresh_version(self, name: Name) -> None:
        model_and_view = self.watched.version(name)
        if model_and_view is None:
            self.admission.forget(name)
            return
        model, view = model_and_view
        self.admission.update(name, model, view.probe, self.watched.ready(name))

    def _refresh_model_of(self, name: Name) -> None:
        model_and_view = self.watched.version(name)
        if model_and_view is not None:
            self.configuration.refresh((name[0], model_and_view[0]))

    def _forget_traffic(self, key: str, versions: frozenset[str] = frozenset()) -> None:
        self.traffic.forget(key, versions)
        self.limits.forget(key, versions)
        if not versions:
            self.shares.forget(key)
        self._log.forget()

    # -- start and end ----------------------------------------------------------------------

    def why_not_ready(self) -> str:
        """Return why this gateway must not get traffic; empty when it may."""
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
        """Serve until `stop`, then drain and return; when cancelled, end at once."""
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            if self._overrides.prober is None:
                self.admission.use(HttpProber(session))
            stack.push_async_callback(self.admission.close)
            await self._serve_envoy(stack)
            await self._serve_http(stack)
            tasks = [
                asyncio.create_task(coroutine, name=name)
                for name, coroutine in (
                    ("link", self._link().run()),
                    ("sample", self._sample()),
                    ("limits", self._limit_requests()),
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
        return LinkServer(self.leader_feed, config.link_dir, config.address, config.link_port)

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
        holder = EnvoyServer(self.holder.handle)
        await holder.start(self.config.address, self.config.holder_port)
        stack.push_async_callback(holder.stop)
        registry = agent_registry(self.traffic, lambda: self.holder.held)
        health = health_application(self._waiting, registry=registry)
        runner = web.AppRunner(health, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listening = listening_socket(self.config.address, self.config.health_port)
        await web.SockSite(runner, listening).start()

    def _waiting(self) -> list[str]:
        why = self.why_not_ready()
        return [why] if why else []

    async def _watch_listeners(self) -> None:
        """Watch Envoy's listeners: they open a moment after the acknowledgement."""
        while True:
            if not self.configuration.is_in_effect:
                self._listens = False
            elif not self._listens:
                self._listens = await self.admin.listens()
            await asyncio.sleep(LISTEN_LOOK_SECONDS)

    async def _sample(self) -> None:
        before = self._overrides.clock()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            now = self._overrides.clock()
            sample = self.traffic.take(self.config.gateway, now - before, self.holder.held)
            before = now
            self.leader_feed.add_sample(sample)
            # Between two leaders the start of the next one may slow answers: they do not count.
            if self.leader_feed.has_reader:
                self.traffic.add_answers(sample)
            if not self._sampled.full():
                self._sampled.put_nowait(sample)
            self.watched.expire()

    async def _limit_requests(self) -> None:
        """Bound the requests under way in Envoy; apart from the sampler, which must not wait."""
        while True:
            sample = await self._sampled.get()
            changes = self.limits.after(sample, self.configuration.serving)
            if changes and not await self.admin.set_runtime_keys(changes):
                self.limits.restart()
            clients = self.traffic.watch_clients(self.shares.watched)
            for key in self.shares.after(sample, clients, self.limits.capacity):
                self.configuration.refresh(Key.parse(key))

    def _sweep(self) -> None:
        """Drop counters that the last requests of a deleted model or version made again."""
        for key in self.traffic.models:
            self.traffic.forget(key, self.watched.used_versions(key))
        self._log.forget()

    async def _reconcile(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            self._sweep()
            in_flight = await self.admin.in_flight()
            if in_flight is None:
                continue
            self.traffic.reconcile(
                {
                    (str(Key(namespace, model_and_view[0])), version, endpoint): number
                    for (namespace, version, endpoint), number in in_flight.items()
                    if (model_and_view := self.watched.version((namespace, version))) is not None
                }
            )

    async def _drain(self) -> None:
        """Stop being ready, then serve on until clients have moved and requests have ended."""
        self._is_stopping = True
        seconds = max(self.config.drain_seconds, self.configuration.longest_request_seconds())
        log.info("draining", seconds=seconds)
        await asyncio.sleep(self.config.propagation_seconds)
        await self.admin.begin_drain()
        began = self._overrides.clock()
        quiet_looks = 0
        while quiet_looks < QUIET_LOOKS and self._overrides.clock() < began + seconds:
            # An idle connection may bring one more request; its answer asks to close it.
            # The drain waits for it too, but not as long: it may be idle for ever.
            is_patient = self._overrides.clock() < began + self.config.idle_seconds
            is_busy = await self.admin.active() or (is_patient and await self.admin.connections())
            quiet_looks = 0 if is_busy else quiet_looks + 1
            await asyncio.sleep(DRAIN_LOOK_SECONDS)
        self.holder.stop()
        # The answers to held requests must be sent before the sockets close.
        await asyncio.sleep(DRAIN_LOOK_SECONDS)
        log.info("drained", is_quiet=quiet_looks >= QUIET_LOOKS)


class _NoProber:
    """Prober before the agent runs; no probe is made before `synced`."""

    async def ask(self, endpoint: str, spec: Any) -> Any:
        msg = f"{endpoint} cannot be probed with {spec} before the agent runs"
        raise RuntimeError(msg)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
