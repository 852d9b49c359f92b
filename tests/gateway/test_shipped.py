"""The gateway starts from the manifests' own values: its bootstrap, its flags, its ports.

Only the pod's folder and the address that it listens on become those of the test.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from modelfleet.gateway.agent import Agent, AgentConfig
from modelfleet.listening import every_address
from tests.cluster.envoy import REQUIREMENT, version
from tests.gateway import shipped
from tests.gateway.envoy_process import Envoy
from tests.gateway.objects import GATEWAYS, NAMESPACE
from tests.gateway.rig import MODEL, Rig, until

pytestmark = pytest.mark.asyncio
HOST = f"{MODEL}.{NAMESPACE}"
NAME = "modelfleet-gateway-0"
REFUSES_SECONDS = 3.0
Alter = Callable[[dict[str, Any]], None]


class Pod:
    """One gateway pod without a kubelet: init container, Envoy, agent."""

    def __init__(self, rig: Rig, binary: str, run_dir: Path) -> None:
        """Nothing runs yet; `alter` may spoil the bootstrap."""
        run_dir.mkdir()
        self.alter: Alter = lambda _: None
        self.address = f"{rig.network}.0.1"
        self._rig, self._run_dir = rig, run_dir
        self.envoy = Envoy(binary, NAME, run_dir)
        config = AgentConfig(
            gateway=NAME,
            namespace=GATEWAYS,
            run_dir=run_dir,
            link_dir=run_dir / "link",
            address=self.address,
            loopback=self.address,
        )
        self._agent = Agent(config)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As the kubelet does: one after the other."""
        self._write_bootstrap()
        await self.envoy.start()
        self._task = asyncio.create_task(self._agent.run(self._stop))
        for kind, obj in self._rig.objects.values():
            self._agent.put(kind, obj)
        self._agent.synced()

    def _write_bootstrap(self) -> None:
        command = [sys.executable, "-m", "modelfleet"]
        subprocess.run(
            [*command, *shipped.arguments("bootstrap", self._run_dir)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "MODELFLEET_POD_NAME": NAME,
                "MODELFLEET_RUN_DIR": str(self._run_dir),
            },
            check=True,
        )
        file = self._run_dir / "envoy.json"
        content = json.loads(file.read_text())
        for listener in content["static_resources"]["listeners"]:
            at = listener["address"]["socket_address"]
            assert at["address"] == every_address()
            # Here the test's own address stands for all of the pod's.
            listener["address"] = {
                "socket_address": {"address": self.address, "port_value": at["port_value"]}
            }
        self.alter(content)
        file.write_text(json.dumps(content))

    async def is_ready(self) -> bool:
        """What the kubelet asks, as the manifest says it."""
        probe = shipped.container("agent")["readinessProbe"]["httpGet"]
        number = shipped.port("agent", probe["port"])
        url = f"http://{self.address}:{number}{probe['path']}"
        try:
            async with self._rig.session.get(url) as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def ready(self, seconds: float = 20.0) -> None:
        """Wait until it may get traffic; an Envoy that ended is an error at once."""
        async with asyncio.timeout(seconds):
            while not await self.is_ready():
                if self.envoy.has_ended:
                    raise RuntimeError(self.envoy.said())
                await asyncio.sleep(0.05)

    async def ask(self, port_name: str, host: str) -> dict[str, Any]:
        """One request to a named port."""
        url = f"http://{self.address}:{shipped.port('envoy', port_name)}/predict"
        async with self._rig.session.post(url, data=b"x", headers={"Host": host}) as response:
            assert response.status == 200
            found: dict[str, Any] = await response.json()
            return found

    async def close(self) -> None:
        """End all."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self.envoy.has_ended:
            await self.envoy.stop()


@pytest_asyncio.fixture
async def pod(rig: Rig, envoy_binary: str, tmp_path: Path) -> AsyncIterator[Pod]:
    """A pod that is not started, and a model with one replica for it."""
    await rig.served(1, exposure="External")
    made = Pod(rig, envoy_binary, tmp_path / "pod")
    try:
        yield made
    finally:
        await made.close()


async def test_gateway_starts_from_the_manifests_and_carries_requests(pod: Pod) -> None:
    await pod.start()
    await pod.ready()
    for port, host in (("cluster", HOST), ("external", f"{HOST}.localhost")):
        assert (await pod.ask(port, host))["version"] == f"{MODEL}-v1"


async def test_ports_of_the_manifests_are_those_that_the_agent_opens() -> None:
    ports = {name: shipped.port("agent", name) for name in ("link", "holder", "agent-health")}
    opened = AgentConfig(NAME, GATEWAYS)
    assert ports == {
        "link": opened.link_port,
        "holder": opened.holder_port,
        "agent-health": opened.health_port,
    }


async def test_the_wheel_is_the_envoy_that_the_manifests_name(envoy_binary: str) -> None:
    said = subprocess.run([envoy_binary, "--version"], capture_output=True, text=True, check=True)  # noqa: ASYNC221 - ends at once
    assert f"/{version(REQUIREMENT.read_text())}/" in said.stdout


async def test_a_flag_that_envoy_refuses_fails(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    good = shipped.arguments
    monkeypatch.setattr(shipped, "arguments", lambda *a: [*good(*a), "--no-such-flag"])
    monkeypatch.setattr(pod, "_write_bootstrap", lambda: None)
    await pod.start()
    with pytest.raises(RuntimeError, match="no-such-flag"):
        await pod.ready()


async def test_a_bootstrap_that_envoy_refuses_fails(pod: Pod) -> None:
    pod.alter = lambda content: content.update(no_such_field=1)
    await pod.start()
    with pytest.raises(RuntimeError, match="no_such_field"):
        await pod.ready()


async def test_a_gateway_that_refuses_its_routes_is_never_ready(pod: Pod) -> None:
    """What Envoy 1.36 did with routes on demand: it ran, and refused every configuration."""

    def not_incremental(content: dict[str, Any]) -> None:
        content["dynamic_resources"]["ads_config"]["api_type"] = "GRPC"

    pod.alter = not_incremental
    await pod.start()
    await until(pod._run_dir.joinpath("admin.sock").exists)
    with pytest.raises(TimeoutError):
        await pod.ready(REFUSES_SECONDS)
    assert not pod.envoy.has_ended
