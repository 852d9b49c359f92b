"""A small data plane on loopback: gateways (real Envoy + agent), replicas, and a fake API server.

Used by the tests in this folder. `Rig` plays the leader: it writes routes and endpoints and
waits for acknowledgements, or does not where a test wants to see that it matters.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from modelfleet.facts.route import Route
from modelfleet.gateway.agent import Agent, AgentConfig, Overrides
from modelfleet.gateway.bootstrap import Listening
from modelfleet.gateway.bounds.listener_bounds import ListenerBounds
from tests.gateway.envoy_process import Envoy
from tests.gateway.objects import (
    GATEWAYS,
    NAMESPACE,
    a_model,
    a_slice,
    a_version,
    gateway_slice,
    route,
)
from tests.gateway.servers import ModelServer

CLUSTER_PORT, EXTERNAL_PORT = 18081, 18080
HOLDER_PORT, LINK_PORT, HEALTH_PORT = 19444, 19443, 19445
MODEL = "churn"


async def until(is_so: Callable[[], Any], seconds: float = 10.0, step: float = 0.002) -> float:
    """Wait for a condition; returns how long that took, raises TimeoutError."""
    begin = time.monotonic()
    while not is_so():
        if time.monotonic() - begin > seconds:
            msg = f"not within {seconds} s: {is_so}"
            raise TimeoutError(msg)
        await asyncio.sleep(step)
    return time.monotonic() - begin


@dataclass
class Answer:
    """What a client saw."""

    code: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    seconds: float


@dataclass
class Load:
    """Closed-loop clients that never retry, and all that they saw."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    worst_seconds: float = 0.0

    @property
    def total(self) -> int:
        """Requests that ended."""
        return sum(self.answers.values()) + sum(self.failures.values())

    @property
    def failed(self) -> int:
        """Requests without the right answer."""
        return sum(self.failures.values())


class Gateway:
    """One Envoy with its agent in this process."""

    def __init__(self, name: str, address: str, run_dir: Path, binary: str, **more: Any) -> None:
        """`more`: `parts` for the agent, `trusted_hops`, `bounds`, fields of AgentConfig."""
        hops, bounds = more.pop("trusted_hops", 0), more.pop("bounds", ListenerBounds())
        run_dir.mkdir(parents=True)
        self.name, self.address, self.run_dir = name, address, run_dir
        self._parts: Overrides | None = more.pop("parts", None)
        self.config = AgentConfig(
            gateway=name,
            namespace=GATEWAYS,
            run_dir=run_dir,
            link_dir=run_dir / "link",
            address=address,
            holder_port=HOLDER_PORT,
            link_port=LINK_PORT,
            health_port=HEALTH_PORT,
            propagation_seconds=0.2,
            **{"drain_seconds": 20.0, "loopback": address, **more},
        )
        where = Listening(address, CLUSTER_PORT, EXTERNAL_PORT, bounds, hops)
        self.envoy = Envoy(binary, name, run_dir, where)
        self.stop_event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.agent = Agent(self.config, self._parts)

    async def start_agent(self, objects: Mapping[Any, tuple[str, dict[str, Any]]]) -> None:
        """Run it, with all objects that exist."""
        self.stop_event = asyncio.Event()
        self.agent = Agent(self.config, self._parts)
        self._task = asyncio.create_task(self.agent.run(self.stop_event))
        for kind, obj in objects.values():
            self.agent.put(kind, obj)
        self.agent.synced()
        await asyncio.sleep(0)

    async def stop_agent(self) -> None:
        """SIGTERM: drains."""
        self.stop_event.set()
        if self._task is not None:
            await self._task

    async def cancel_agent(self) -> None:
        """Gone at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ready(self) -> None:
        """Wait until it may get traffic."""
        await until(lambda: not self.agent.why_not_ready())


class Rig:
    """Everything of one test."""

    def __init__(self, binary: str, folder: Path, number: int) -> None:
        """`number` chooses the loopback network, so that runs do not meet."""
        self._binary, self._folder = binary, folder
        self.network = f"127.{number}"
        self.objects: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        self.gateways: list[Gateway] = []
        self.servers: dict[str, ModelServer] = {}
        self.revision = 0
        self.routes: dict[str, Route] = {}
        self._session: aiohttp.ClientSession | None = None
        self.defaults: dict[str, Any] = {}
        self.sinks: list[Callable[[str, str, dict[str, Any]], None]] = []

    # -- the fake API server -----------------------------------------------------------------

    def put(self, kind: str, obj: dict[str, Any]) -> None:
        """Create or change an object; all agents see it."""
        self.objects[kind, obj["metadata"]["name"]] = (kind, obj)
        for gateway in self.gateways:
            gateway.agent.put(kind, obj)
        for sink in self.sinks:
            sink("put", kind, obj)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        _, obj = self.objects.pop((kind, name))
        for gateway in self.gateways:
            gateway.agent.delete(kind, obj)
        for sink in self.sinks:
            sink("delete", kind, obj)

    def version(self, number: int, model: str = MODEL, **more: Any) -> None:
        """An MLModelVersion."""
        self.put("MLModelVersion", a_version(model, number, **more))

    def endpoints(self, number: int, *hosts: int, model: str = MODEL, **more: Any) -> None:
        """Ready replicas of a version, by the last part of their address."""
        addresses = [f"{self.network}.1.{host}" for host in hosts]
        self.put("EndpointSlice", a_slice(model, number, addresses, **more))

    def route(self, weights: Mapping[int, int], model: str = MODEL, **more: Any) -> Route:
        """Weights by version number; the next revision."""
        self.revision += 1
        asked = route(self.revision, {f"{model}-v{n}": w for n, w in weights.items()}, **more)
        self.routes[model] = asked
        self.put("MLModel", a_model(model, asked, uid=f"uid-{model}"))
        return asked

    # -- replicas and gateways ---------------------------------------------------------------

    async def replica(self, host: int, version: int = 1, **more: Any) -> ModelServer:
        """A running replica at that address; not in any slice yet."""
        address = f"{self.network}.1.{host}"
        server = await ModelServer(address, f"{MODEL}-v{version}", **more).start()
        self.servers[address] = server
        return server

    async def gateway(self, *, is_waited_for: bool = True, **more: Any) -> Gateway:
        """One more gateway; the others learn its address."""
        number = len(self.gateways) + 1
        name = f"gateway-{number}"
        made = Gateway(
            name,
            f"{self.network}.0.{number}",
            self._folder / name,
            self._binary,
            **{**self.defaults, **more},
        )
        self.gateways.append(made)
        self.put("EndpointSlice", gateway_slice({g.name: g.address for g in self.gateways}))
        await made.envoy.start()
        await made.start_agent(self.objects)
        if is_waited_for:
            await made.ready()
        return made

    async def close(self) -> None:
        """End all processes and servers."""
        if self._session is not None:
            await self._session.close()
        stopped = await asyncio.gather(
            *(gateway.envoy.stop() for gateway in self.gateways), return_exceptions=True
        )
        for gateway in self.gateways:
            await gateway.cancel_agent()
        for server in self.servers.values():
            await server.stop()
        for error in filter(None, stopped):
            raise error

    # -- the leader --------------------------------------------------------------------------

    def in_effect(self, model: str = MODEL, gateway: int = 0) -> tuple[int, dict[str, Any]]:
        """Acknowledged revision and endpoints by version; revision 0 when there is nothing."""
        board = self.gateways[gateway].agent.leader_feed
        found = board.acknowledgements.get(f"{NAMESPACE}/{model}")
        return (0, {}) if found is None else (found.revision, dict(found.endpoints))

    async def acknowledged(self, model: str = MODEL) -> float:
        """Wait until all gateways have the newest route in effect."""
        wanted = self.routes[model].revision
        return await until(
            lambda: all(
                self.in_effect(model, number)[0] == wanted for number in range(len(self.gateways))
            )
        )

    async def fed(self, version: int, *hosts: int, model: str = MODEL) -> float:
        """Wait until all gateways send to exactly these replicas."""
        wanted = tuple(sorted(f"{self.network}.1.{host}:8000" for host in hosts))
        return await until(
            lambda: all(
                self.in_effect(model, number)[1].get(f"{model}-v{version}") == wanted
                for number in range(len(self.gateways))
            )
        )

    async def served(self, *hosts: int, **more: Any) -> None:
        """The usual start: version 1 with these replicas running and in effect."""
        delay = more.pop("delay", 0.0)
        for host in hosts:
            await self.replica(host, delay=delay)
        self.version(1)
        self.endpoints(1, *hosts)
        self.route({1: 100}, **more)

    # -- clients -----------------------------------------------------------------------------

    @property
    def session(self) -> aiohttp.ClientSession:
        """One client session for the test."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
            )
        return self._session

    async def ask(
        self,
        host: str = f"{MODEL}.{NAMESPACE}",
        *,
        gateway: int = 0,
        port: int = CLUSTER_PORT,
        data: Any = b"x",
        headers: Mapping[str, str] | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> Answer:
        """One request of a client."""
        begin = time.monotonic()
        url = f"http://{self.gateways[gateway].address}:{port}/predict"
        async with (session or self.session).post(
            url, data=data, headers={"Host": host, **(headers or {})}
        ) as response:
            text = await response.read()
            is_json = "json" in response.headers.get("content-type", "")
            body = (await response.json()) if is_json else {"text": text.decode()}
            return Answer(response.status, body, response.headers, time.monotonic() - begin)

    async def _client(self, load: Load, stop: asyncio.Event, pause: float, **more: Any) -> None:
        while not stop.is_set():
            begin = time.monotonic()
            try:
                answer = await self.ask(**more)
            except (aiohttp.ClientError, TimeoutError) as error:
                load.failures[repr(error)[:100]] += 1
                continue
            load.worst_seconds = max(load.worst_seconds, time.monotonic() - begin)
            if answer.code == 200:
                load.answers[answer.body["version"]] += 1
            else:
                load.failures[f"{answer.code} {answer.body}"[:160]] += 1
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def load(
        self, clients: int = 8, pause: float = 0.002, **more: Any
    ) -> AsyncIterator[Load]:
        """Clients that run for the length of the block, then end in order."""
        seen, stop = Load(), asyncio.Event()
        tasks = [
            asyncio.create_task(self._client(seen, stop, pause, **more)) for _ in range(clients)
        ]
        try:
            yield seen
        finally:
            stop.set()
            await asyncio.gather(*tasks)
