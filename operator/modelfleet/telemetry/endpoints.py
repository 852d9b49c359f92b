"""Health, readiness and metrics over HTTP: the same three endpoints for operator and agent.

Must never block the event loop: the exposition of many models is made in a thread.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from modelfleet.listening import listening_socket


def health_application(
    waiting: Callable[[], Sequence[str]],
    wrong: Callable[[], Mapping[str, str]] = dict,
    registry: CollectorRegistry = REGISTRY,
) -> web.Application:
    """Return an application with `/readyz`, `/healthz` and `/metrics`.

    `waiting` names what is missing at the start (503 until it is empty). `wrong` names failed
    checks (500 until it is empty). `registry` has the metrics.
    """

    async def readyz(_: web.Request) -> web.Response:
        missing = sorted(waiting())
        return web.json_response({"waiting": missing}, status=503 if missing else 200)

    async def healthz(_: web.Request) -> web.Response:
        faults = dict(wrong())
        return web.json_response({"wrong": faults}, status=500 if faults else 200)

    async def exposition(_: web.Request) -> web.Response:
        text = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/metrics", exposition)
    return application


async def serve_application(application: web.Application, address: tuple[str, int]) -> None:
    """Serve at an address and port until cancelled; an empty address is every one."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listening_socket(*address)).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
