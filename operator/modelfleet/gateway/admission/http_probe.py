"""Sends an admission probe of any kind to one replica.

The kind (`catalog.probes`) states the requests and judges the answers. Both happen in a thread, one
probe at a time, so that a large answer delays no configuration of Envoy. Must never raise for
anything that a server does, follow a redirect, or read an answer without a bound.
"""

import asyncio

import aiohttp

from modelfleet.catalog.probes import (
    Exchange,
    ProbeAnswer,
    ProbeOutcome,
    ProbeRequest,
    ProbeSpec,
    probe_kind_named,
)
from modelfleet.gateway.admission.grpc_health import health_of

MAX_ANSWER_BYTES = 4 * 2**20
"""Size of a judged answer; parsing it takes about 20 times that memory for a moment."""


class HttpProber:
    """Probes over one shared client session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """`session` is closed by its owner."""
        self._session = session
        self._thread = asyncio.Semaphore(1)

    async def ask(self, endpoint: str, spec: ProbeSpec) -> ProbeOutcome:
        """Send the requests of the probe; `Late` when an answer is late."""
        kind = probe_kind_named(spec.protocol)
        if kind is None:
            return ProbeOutcome("Unfit", f"this gateway does not know the probe {spec.protocol!r}")
        try:
            return await self._run(endpoint, kind.exchange(spec), spec.timeout_seconds)
        except TimeoutError:
            return ProbeOutcome("Late", f"no answer within {spec.timeout_seconds:g} s")
        except aiohttp.ClientError as error:
            return ProbeOutcome("Late", f"no answer: {error!r}"[:200])
        except Exception as error:  # noqa: BLE001 - a fault of the probe keeps no replica out
            return ProbeOutcome("Unfit", f"the answer cannot be judged: {error!r}"[:200])

    async def _run(self, endpoint: str, exchange: Exchange, seconds: float) -> ProbeOutcome:
        """Return the outcome; the time that a probe waits for others does not count as late."""
        answer, left = None, seconds
        loop = asyncio.get_running_loop()
        while True:
            async with self._thread:
                step = await asyncio.to_thread(_next, exchange, answer)
            if isinstance(step, ProbeOutcome):
                return step
            began = loop.time()
            async with asyncio.timeout(left):
                answer = await self._answer(endpoint, step, left)
            left -= loop.time() - began

    async def _answer(self, endpoint: str, step: ProbeRequest, seconds: float) -> ProbeAnswer:
        if step.method == "GRPC_HEALTH":
            return await health_of(endpoint, step.path, seconds)
        return await self._call(f"http://{endpoint}{step.path}", step)

    async def _call(self, url: str, request: ProbeRequest) -> ProbeAnswer:
        headers = {"accept-encoding": "identity"}
        if request.body is not None:
            headers["content-type"] = "application/json"
        async with self._session.request(
            request.method, url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(2**16):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    response.close()
                    return ProbeAnswer(response.status, None)
            return ProbeAnswer(response.status, bytes(body))


def _next(exchange: Exchange, answer: ProbeAnswer | None) -> ProbeRequest | ProbeOutcome:
    """Return the next request of an exchange, or its outcome."""
    try:
        return next(exchange) if answer is None else exchange.send(answer)
    except StopIteration as end:
        outcome: ProbeOutcome = end.value
        return outcome
