"""A fleet on fake nodes that answers: real API server, operator, gateways and requests.

KWOK plays the pods; `everybodys_server` answers for all of them. Only the kubelet is not real.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import aiohttp

from tests import stack
from tests.cluster import kwok
from tests.cluster.native import layout
from tests.stack import Json

NODES = 20
PORT = 18080
AT_ONCE = 32
TRIES = 5
ROUTE = ("local", layout.FAKE_POD_RANGE, "dev", "lo")


@contextlib.contextmanager
def fake_nodes() -> Iterator[None]:
    """Fake nodes whose pods all answer on PORT; nothing of it is left afterwards."""
    verb = [sys.executable, "-m", "tests.cluster"]
    subprocess.run([*verb, "kwok-up", str(NODES)], cwd=stack.ROOT, check=True)
    stack.inside("ip", "route", "replace", *ROUTE)
    server = subprocess.Popen(
        stack.enter([sys.executable, "-m", "tests.campaigns.everybodys_server", str(PORT)]),
        cwd=stack.ROOT,
    )
    try:
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)
        stack.inside("ip", "route", "del", *ROUTE)
        subprocess.run([*verb, "kwok-down"], cwd=stack.ROOT, check=False)


def fake_model(namespace: str, name: str, **spec: object) -> Json:
    """A model whose one replica runs on a fake node; fields of `spec` are laid over."""
    fake = {"key": kwok.SELECTOR, "operator": "Exists", "effect": "NoSchedule"}
    body = {
        "runtime": {"name": "custom", "image": "modelfleet/server:dev", "port": PORT},
        "placement": {"nodeSelector": {kwok.SELECTOR: "true"}, "tolerations": [fake]},
        "scaling": {"maxReplicas": 1},
    }
    return {
        "apiVersion": "modelfleet.dev/v1alpha1",
        "kind": "MLModel",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**body, **spec},
    }


class Client:
    """The API server and the gateways, as a user meets them."""

    def __init__(self) -> None:
        """Use it within `async with client()`."""
        os.environ["KUBECONFIG"] = str(stack.KUBECONFIG)
        from modelfleet.kube.access import load_access
        from modelfleet.kube.client import KubeClient
        from modelfleet.kube.resource import MODELS

        self._models = MODELS
        self._kube = KubeClient(load_access(), concurrency=AT_ONCE, component="campaign")
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE), timeout=aiohttp.ClientTimeout(90)
        )

    async def close(self) -> None:
        """Close both connections."""
        await self._kube.close()
        await self._http.close()

    async def create(self, body: Json) -> None:
        """Create a model."""
        space = body["metadata"]["namespace"]
        await _patiently(lambda: self._kube.post(self._models, space, body))

    async def delete(self, namespace: str, name: str) -> None:
        """Delete a model."""
        await _patiently(lambda: self._kube.delete(self._models, namespace, name, {}))

    async def ask(self, namespace: str, name: str) -> tuple[int, str]:
        """Status and body of one request to a model."""
        headers = {"Host": f"{name}.{namespace}.localhost"}
        async with self._http.post(stack.gateway_url(), headers=headers, data=b"x") as response:
            return response.status, await response.text()

    async def served(self, namespace: str, name: str, patience: float = 60.0) -> int:
        """Ask until the gateways know the model; returns the status of the first other answer."""
        async with asyncio.timeout(patience):
            while True:
                status, text = await self.ask(namespace, name)
                if status != 404:
                    assert status != 200 or f'"host": "{name}.{namespace}' in text, text
                    return status
                await asyncio.sleep(0.2)


async def _patiently(call: Callable[[], Awaitable[object]]) -> None:
    """Repeat a write that a busy API server did not answer in time; it may have been done."""
    from modelfleet.errors import Conflict, Gone, Transient

    for _ in range(TRIES):
        try:
            with contextlib.suppress(Conflict, Gone):
                await call()
        except Transient as error:
            print(f"once more: {error}", flush=True)
            await asyncio.sleep(1.0)
        else:
            return
    msg = f"the API server answered none of {TRIES} tries"
    raise TimeoutError(msg)


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Give a client and close it."""
    made = Client()
    try:
        yield made
    finally:
        await made.close()
