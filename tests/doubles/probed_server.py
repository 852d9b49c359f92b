"""A replica that answers as a test says, and one probe of it by the gateway's prober."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from modelfleet.catalog.probes import ProbeOutcome, ProbeSpec
from modelfleet.gateway.admission.http_probe import HttpProber

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def probed(handler: Handler, spec: ProbeSpec) -> ProbeOutcome:
    """Return the outcome of one probe of a replica whose every request goes to `handler`."""

    async def ask() -> ProbeOutcome:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession() as session:
                return await HttpProber(session).ask(f"127.0.0.1:{port}", spec)
        finally:
            await runner.cleanup()

    return asyncio.run(ask())
