"""Composition root of a gateway pod's agent. No logic.

`modelfleet agent` runs it. It is apart from `compose.operator`, so that the agent's image needs
neither Kopf nor the operator's other dependencies.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import structlog

from modelfleet.api import names
from modelfleet.gateway.agent import Agent, AgentConfig
from modelfleet.gateway.bootstrap import Listening, bootstrap
from modelfleet.gateway.bounds.listener_bounds import ListenerBounds
from modelfleet.kube.access import load_access
from modelfleet.kube.client import KubeClient
from modelfleet.kube.reflector import Reflector
from modelfleet.kube.resource import ENDPOINT_SLICES, MODELS, VERSIONS, ResourceKind
from modelfleet.settings import Settings, listed
from modelfleet.telemetry import logs, metrics

ENVOY_HEAP_BYTES = 768 * 1024 * 1024

Json = dict[str, Any]


log = structlog.get_logger()


class Feed:
    """Passes the objects of one kind to the agent; after a list, also the deletions.

    An object that the agent cannot take is logged and counted, and holds no other one up.
    """

    def __init__(self, agent: Agent, kind: str) -> None:
        """`kind` is the kind's name in the agent."""
        self._agent = agent
        self._kind = kind
        self._known: dict[str, Json] = {}

    def put(self, item: Json) -> None:
        """Pass on a new or changed object."""
        self._known[item["metadata"]["uid"]] = item
        self._pass_on(self._agent.put, item)

    def remove(self, item: Json) -> None:
        """Pass on a deleted object."""
        self._known.pop(item["metadata"]["uid"], None)
        self._pass_on(self._agent.delete, item)

    def _pass_on(self, take: Callable[[str, Json], None], item: Json) -> None:
        try:
            take(self._kind, item)
        except Exception:
            metrics.WATCH_FAILURES.labels(self._kind).inc()
            name = item["metadata"].get("name")
            log.exception("object not taken", kind=self._kind, name=name)

    def replace(self, items: list[Json], version: str, namespace: str | None = None) -> None:  # noqa: ARG002 - a feed has one watch
        """Take all objects that exist now."""
        listed = {item["metadata"]["uid"] for item in items}
        for uid, old in list(self._known.items()):
            if uid not in listed:
                self.remove(old)
        for item in items:
            self.put(item)


def _config(settings: Settings) -> AgentConfig:
    return AgentConfig(
        gateway=settings.pod_name,
        namespace=settings.namespace,
        run_dir=Path(settings.run_dir),
        link_dir=Path(settings.link_dir),
        domain=settings.domain,
        cluster_domain=settings.cluster_domain,
        default_exposure=settings.default_exposure,
        model_requests=settings.gateway_model_requests,
    )


def _watches(settings: Settings) -> list[tuple[ResourceKind, str | None, str]]:
    chosen = listed(settings.watch_namespaces)
    own = f"{names.SERVICE_NAME_LABEL}={names.GATEWAY_NAME}"
    watches: list[tuple[ResourceKind, str | None, str]] = [
        (ENDPOINT_SLICES, settings.namespace, own)
    ]
    everywhere: list[str | None] = [None]
    for namespace in chosen or everywhere:
        watches += [
            (MODELS, namespace, ""),
            (VERSIONS, namespace, ""),
            (ENDPOINT_SLICES, namespace, names.LABEL_VERSION),
        ]
    return watches


def run_agent(_: list[str]) -> int:
    """Run the agent until it is signalled; return the exit code."""
    return asyncio.run(agent(Settings()))


async def agent(settings: Settings) -> int:
    """Run the agent; return the exit code."""
    logs.configure(settings.log_format, settings.log_level)
    access = load_access(settings.kube_context, environment=dict(os.environ))
    client = KubeClient(access, component="agent")
    gateway = Agent(_config(settings))
    reflectors = [
        Reflector(
            client, resource, Feed(gateway, resource.kind), namespace=namespace, selector=selector
        )
        for resource, namespace, selector in _watches(settings)
    ]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(reflector.run()) for reflector in reflectors]
    tasks.append(asyncio.create_task(_sync(gateway, reflectors)))
    try:
        await gateway.run(stop)
    finally:
        for task in tasks:
            task.cancel()
        await client.close()
    return 0


async def _sync(gateway: Agent, reflectors: list[Reflector]) -> None:
    """Begin to answer Envoy when every watch has delivered the objects that existed."""
    for reflector in reflectors:
        await reflector.synced.wait()
    gateway.synced()


def write_bootstrap(arguments: list[str]) -> int:
    """Write Envoy's first configuration to the file in the arguments, or to standard output."""
    settings = Settings()
    content = bootstrap(
        settings.pod_name or "envoy",
        settings.run_dir,
        Listening(
            bounds=ListenerBounds(settings.gateway_connections, ENVOY_HEAP_BYTES),
            trusted_hops=settings.trusted_hops,
        ),
    )
    text = orjson.dumps(content)
    if arguments:
        Path(arguments[0]).write_bytes(text)
    else:
        sys.stdout.buffer.write(text)
    return 0
