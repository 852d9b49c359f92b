"""The operator's HTTP endpoints: health, readiness, metrics.

Run by `main`. Must never block the loop: the exposition of a large fleet is made in a thread.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


async def serve_endpoints(
    address: tuple[str, int],
    wrong: Callable[[], Mapping[str, str]],
    waiting: Callable[[], Sequence[str]],
) -> None:
    """Answer until cancelled. `wrong` says what is not alive, `waiting` what is not there yet."""

    async def alive(_: web.Request) -> web.Response:
        found = wrong()
        return web.json_response({"wrong": dict(found)}, status=500 if found else 200)

    async def is_ready(_: web.Request) -> web.Response:
        missing = sorted(waiting())
        return web.json_response({"waiting": missing}, status=503 if missing else 200)

    async def exposition(_: web.Request) -> web.Response:
        text = await asyncio.to_thread(generate_latest)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", is_ready)
    app.router.add_get("/metrics", exposition)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
