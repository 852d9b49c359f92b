"""Fake model servers: real HTTP, in this process, on loopback addresses of their own.

Used by the tests with a real Envoy. A server can be slow, broken, silent, or killed.
"""

import asyncio
import hashlib
import json
import time
from collections import Counter

from aiohttp import web

PORT = 8000


class ModelServer:
    """One replica. `mode`: ok, reset (cuts each request off), or nan / empty / error probes.

    In mode `deadly` a request with the header `x-deadly` ends the server.

    `slots` requests are worked on at once, each for `delay` seconds; others wait. 0: all at once.
    """

    def __init__(
        self, address: str, version: str, *, delay: float = 0.0, mode: str = "ok", slots: int = 0
    ) -> None:
        """Not listening yet."""
        self._slots = asyncio.Semaphore(slots or 1_000_000)
        self.address, self.version, self.delay, self.mode = address, version, delay, mode
        self.served: Counter[str] = Counter()
        self.bytes = 0
        self.worked: list[tuple[float, float]] = []
        """Begin and end of each use of a slot, monotonic seconds."""
        self._runner: web.AppRunner | None = None

    async def start(self) -> "ModelServer":
        """Listen."""
        application = web.Application(client_max_size=0)
        application.router.add_get("/v2/models/{name}", self._metadata)
        application.router.add_post("/v2/models/{name}/infer", self._infer)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=0.2,
            auto_decompress=False,
            max_line_size=1 << 17,
            max_field_size=1 << 17,
        )
        await self._runner.setup()
        await web.TCPSite(
            self._runner, self.address, PORT, backlog=4096, reuse_address=True
        ).start()
        return self

    async def stop(self) -> None:
        """Leave in order."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    async def kill(self) -> None:
        """Like a killed process: the port closes and all connections are reset, at one moment."""
        if self._runner is None or self._runner.server is None:
            return
        for site in self._runner.sites:
            site._server.close()  # as the kernel does it: before any connection ends
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self.stop()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        body = await request.read()
        self.served[request.headers.get("x-client", "")] += 1
        self.bytes += len(body)
        if self.mode == "reset" and transport is not None:
            transport.abort()
            await asyncio.sleep(1)
        if self.mode == "deadly" and "x-deadly" in request.headers:
            killing = asyncio.create_task(self.kill())
            await asyncio.sleep(1)
            await killing
        if self.mode == "late reset" and transport is not None:
            await asyncio.sleep(self.delay)
            transport.abort()
            await asyncio.sleep(1)
        if self.delay:
            async with self._slots:
                began = time.monotonic()
                await asyncio.sleep(self.delay)
                self.worked.append((began, time.monotonic()))
        if "x-huge" in request.headers:
            return await self._huge(request)
        if "x-pieces" in request.headers:
            return await self._stream(request)
        answer = {"version": self.version, "bytes": len(body)}
        if "x-echo" in request.headers:
            own = {
                k: v
                for k, v in request.headers.items()
                if k.lower().startswith(("x-own", "x-forwarded"))
            }
            answer |= {
                "method": request.method,
                "path": request.path_qs,
                "headers": own,
                "encoding": request.headers.get("Content-Encoding"),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        return web.json_response(answer)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Answer in pieces: `x-pieces` has the seconds before each of them."""
        response = web.StreamResponse()
        await response.prepare(request)
        for pause in request.headers["x-pieces"].split(","):
            await asyncio.sleep(float(pause))
            await response.write(b"piece")
        return response

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        """Answer with the version's name again and again: `x-huge` has the MiB."""
        response = web.StreamResponse()
        await response.prepare(request)
        part = (self.version.encode() * (1 << 16))[: 1 << 16]
        for _ in range(16 * int(request.headers["x-huge"])):
            await response.write(part)
        return response

    async def _metadata(self, request: web.Request) -> web.Response:
        if self.mode == "silent":
            await asyncio.sleep(30)
        inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
        return web.json_response({"name": request.match_info["name"], "inputs": inputs})

    async def _infer(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        if asked["inputs"][0]["data"] != [1, 1, 1, 1]:
            return web.Response(status=400)
        if self.mode == "error":
            return web.Response(status=500)
        data = {"nan": "[NaN]", "empty": "[]"}.get(self.mode, "[0.5]")
        text = f'{{"outputs": [{{"name": "y", "shape": [1, 1], "data": {data}}}]}}'
        return web.Response(text=text, content_type="application/json")
