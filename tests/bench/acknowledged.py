"""Writes routes and listens to the gateways' own streams; prints seconds as JSON.

Run inside the cluster's network by `tests.bench.latency`, while the operator is away: it would
at once put back what is written here. Must never be run on a cluster that serves somebody.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time

from modelfleet.facts.route import Route
from modelfleet.kube.access import load_access
from modelfleet.kube.client import KubeClient
from modelfleet.kube.resource import MODELS, PODS, SECRETS
from modelfleet.link.link_client import GatewayLinks
from modelfleet.link.link_trust import LinkTrust
from modelfleet.telemetry import logs

SYSTEM = "modelfleet-system"


async def main(namespace: str, count: int) -> None:
    """Change the hold bound of the route `count` times and time each acknowledgement."""
    # Standard output is for the figures alone.
    logs.configure("json", "warning")
    client = KubeClient(load_access(environment=dict(os.environ)), component="bench")
    secret = (await client.get(SECRETS, SYSTEM, "modelfleet-gateway-link"))["data"]
    changed = asyncio.Event()
    links = GatewayLinks(
        trust=LinkTrust.of(
            base64.b64decode(secret["tls.crt"]).decode(),
            base64.b64decode(secret["token"]).decode(),
        ),
        on_change=lambda _key, _why: changed.set(),
    )
    pods, _ = await client.list(
        PODS, SYSTEM, {"labelSelector": "app.kubernetes.io/name=modelfleet-gateway"}
    )
    links.update({p["metadata"]["name"]: p["status"]["podIP"] for p in pods})
    running = asyncio.create_task(links.run())
    while not all(links.connected().values()):  # noqa: ASYNC110 - a start, not a wait
        await asyncio.sleep(0.05)
    times = [await once(client, links, changed, namespace, i) for i in range(count)]
    running.cancel()
    await client.close()
    print(json.dumps(times))


async def once(
    client: KubeClient, links: GatewayLinks, changed: asyncio.Event, namespace: str, number: int
) -> float:
    """One write of a route; seconds until all gateways have exactly it."""
    model = await client.get(MODELS, namespace, "digits")
    status = model["status"]["route"]
    hold = {"maxSeconds": 50, "maxRequests": 900 + number}
    status = {**status, "revision": status["revision"] + 1, "hold": hold}
    wanted = Route.from_status(status).content_hash
    began = time.monotonic()
    await client.patch(
        MODELS.path(namespace, "digits", "status"), {"status": {"route": status}}, kind="MLModel"
    )
    while True:
        acks = links.acknowledgements(f"{namespace}/digits").values()
        if all(a is not None and a.content_hash == wanted for a in acks):
            break
        changed.clear()
        async with asyncio.timeout(5):
            await changed.wait()
    took = time.monotonic() - began
    await asyncio.sleep(0.3)
    return took


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
