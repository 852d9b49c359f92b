"""A gateway whose agent is a process that can be killed: used by the tests of lost agents.

Feeds the process from the rig's objects and restarts it as the kubelet would.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from tests.gateway.rig import HEALTH_PORT, Gateway, Rig


class RemoteAgent:
    """One agent process beside the Envoy of a gateway."""

    def __init__(self, rig: Rig, gateway: Gateway) -> None:
        """Not started yet."""
        self._rig, self._gateway = rig, gateway
        self._process: asyncio.subprocess.Process | None = None
        rig.sinks.append(self._send)

    def _send(self, verb: str, kind: str, obj: dict[str, Any]) -> None:
        process = self._process
        if process is not None and process.stdin is not None and process.returncode is None:
            process.stdin.write(json.dumps([verb, kind, obj]).encode() + b"\n")

    async def start(self) -> None:
        """Run it with all objects that exist, and wait until it is ready."""
        config = {
            name: str(value) if name.endswith("dir") else value
            for name, value in asdict(self._gateway.config).items()
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.gateway.agent_process",
            json.dumps(config),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for kind, obj in list(self._rig.objects.values()):
            self._send("put", kind, obj)
        self._send("synced", "", {})
        async with asyncio.timeout(15):
            while not await self.is_ready():  # noqa: ASYNC110 - asks another process
                await asyncio.sleep(0.05)

    async def is_ready(self) -> bool:
        """Asks the agent's readiness."""
        url = f"http://{self._gateway.address}:{HEALTH_PORT}/readyz"
        try:
            async with self._rig.session.get(url) as response:
                return response.status == 200
        except OSError:
            return False

    async def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        url = f"http://{self._gateway.address}:{HEALTH_PORT}/metrics"
        async with self._rig.session.get(url) as response:
            text = await response.text()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)
        )

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
