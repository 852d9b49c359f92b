"""The leader's side of the links: one stream to each gateway's agent, read into memory.

Run by `main`, asked by `engine` through its port `Gateways`. All answers are of memory and
synchronous. A gateway that is silent makes sums unknown (None), never smaller. Must never block
a turn, and never forget what a gateway acknowledged only because its stream broke: it may serve
on by it.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
import structlog

from modelfleet.api import names
from modelfleet.facts.identity import bracketed
from modelfleet.facts.traffic import (
    AnswerTimes,
    GatewaySample,
    ProbeResult,
    RouteAcknowledgement,
)
from modelfleet.link.messages import (
    Acknowledged,
    Held,
    Hello,
    Message,
    ModelForgotten,
    PastAnswers,
    Probed,
    ProbeWithdrawn,
    Rejected,
    Sampled,
    Synced,
    decode_message,
)

log = structlog.get_logger()

SILENT_SECONDS = 3.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 5.0
SAMPLES_AFTER_LEAVING = 2
"""The sample after an acknowledgement may have been cut before Envoy's last log entries came."""
MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_SAMPLES = 60
"""Waiting samples of all gateways; above that the oldest go: a standby takes none."""


@dataclass(slots=True)
class _GatewayState:
    """What one stream said. `draft` is filled until its state is complete."""

    acknowledgements: dict[str, RouteAcknowledgement] = field(default_factory=dict)
    rejections: dict[str, str] = field(default_factory=dict)
    probes: dict[tuple[str, str], ProbeResult] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    answered: dict[str, AnswerTimes] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    unsure: dict[str, int] = field(default_factory=dict)
    """Endpoints that just left, and how many samples must come before their number is known."""


@dataclass(slots=True)
class _Gateway:
    address: str
    told: _GatewayState | None = None
    draft: _GatewayState | None = None
    heard_at: float = float("-inf")
    is_streaming: bool = False
    task: asyncio.Task[None] | None = None


class GatewayLinks:
    """Streams to all gateways, and what they told."""

    def __init__(
        self,
        *,
        certificate_pem: str | None,
        token: str,
        on_change: Callable[[str, str], None],
        port: int = names.PORT_LINK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change(key, why)` is called for each piece of news about a model.

        Without a certificate the streams are plain HTTP, which only tests do.
        """
        self._ssl = None if certificate_pem is None else _pinned(certificate_pem)
        self._token = token
        self._on_change = on_change
        self._port = port
        self._clock = clock
        self._gateways: dict[str, _Gateway] = {}
        self._samples: list[GatewaySample] = []
        self._changed = asyncio.Event()
        self.on_held: Callable[[str], None] = lambda _: None

    # -- the feed ---------------------------------------------------------------------------

    def update(self, addresses: Mapping[str, str]) -> None:
        """The gateways that exist now: pod name to IP address."""
        for name in [n for n, g in self._gateways.items() if addresses.get(n) != g.address]:
            self._drop(name)
        for name, address in addresses.items():
            if name not in self._gateways:
                self._gateways[name] = _Gateway(address)
                self._changed.set()

    def _drop(self, name: str) -> None:
        gone = self._gateways.pop(name)
        if gone.task is not None:
            gone.task.cancel()
        if gone.told is not None:
            for key in {*gone.told.acknowledgements, *gone.told.held}:
                self._on_change(key, "gateway gone")

    async def run(self) -> None:
        """Keep a stream to each gateway until cancelled."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=3.0, sock_read=SILENT_SECONDS)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, read_bufsize=MAX_LINE_BYTES
        ) as session:
            try:
                while True:
                    for name, gateway in self._gateways.items():
                        if gateway.task is None:
                            gateway.task = asyncio.create_task(
                                self._follow(session, name, gateway), name=f"link {name}"
                            )
                    await self._changed.wait()
                    self._changed.clear()
            finally:
                tasks = [g.task for g in self._gateways.values() if g.task is not None]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, session: aiohttp.ClientSession, name: str, gateway: _Gateway) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            why = "ended"
            try:
                await self._stream(session, name, gateway)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
                why = repr(error)
            was_complete = gateway.told is not None and gateway.is_streaming
            gateway.is_streaming, gateway.draft = False, None
            log.info("gateway_silent", gateway=name, why=why[:200])
            if was_complete:
                wait = FIRST_WAIT_SECONDS
            # Spread, or every restart of a leader would meet all agents at the same moment.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _stream(self, session: aiohttp.ClientSession, name: str, gateway: _Gateway) -> None:
        scheme = "http" if self._ssl is None else "https"
        host = bracketed(gateway.address)
        async with session.get(
            f"{scheme}://{host}:{self._port}/v1/stream",
            headers={"Authorization": f"Bearer {self._token}"},
            ssl=self._ssl if self._ssl is not None else False,
            server_hostname=names.GATEWAY_LINK_HOST if self._ssl is not None else None,
        ) as response:
            response.raise_for_status()
            gateway.draft = _GatewayState()
            async for line in response.content:
                gateway.heard_at = self._clock()
                message = decode_message(line)
                if message is not None:
                    self._take(name, gateway, message)

    # -- what they say ----------------------------------------------------------------------

    def _take(self, name: str, gateway: _Gateway, message: Message) -> None:
        match message:
            case Hello(gateway=claimed):
                if claimed != name:
                    msg = f"{claimed!r} answers at the address of {name!r}"
                    raise ValueError(msg)
            case Synced():
                self._complete(name, gateway)
            case Sampled(sample=sample):
                self._sampled(gateway, sample)
            case PastAnswers(model=key, answered=answered):
                if gateway.draft is not None:
                    gateway.draft.answered[key] = answered
            case _:
                told = gateway.draft or gateway.told
                if told is not None:
                    key, why = _note(told, message)
                    if gateway.draft is None:
                        self._news(key, why)

    def _complete(self, name: str, gateway: _Gateway) -> None:
        before, now = gateway.told, gateway.draft
        if now is None:
            return
        gateway.told, gateway.draft, gateway.is_streaming = now, None, True
        log.info("gateway_heard", gateway=name, models=len(now.acknowledgements))
        known = set() if before is None else {*before.acknowledgements, *before.held}
        for key in sorted({*known, *now.acknowledgements, *now.held, *now.rejections}):
            self._news(key, "held" if key in now.held else "connected")

    def _sampled(self, gateway: _Gateway, sample: GatewaySample) -> None:
        told = gateway.told
        if told is None:
            return
        told.held = {key: model.held for key, model in sample.models.items() if model.held}
        told.in_flight = {
            endpoint: number
            for model in sample.models.values()
            for endpoint, number in model.pods_in_flight.items()
        }
        told.unsure = {e: number - 1 for e, number in told.unsure.items() if number > 1}
        self._samples.append(sample)
        del self._samples[:-MAX_SAMPLES]

    def _news(self, key: str, why: str) -> None:
        if why == "held":
            self.on_held(key)
        self._on_change(key, why)

    # -- answers ----------------------------------------------------------------------------

    def _is_live(self, gateway: _Gateway) -> bool:
        return gateway.is_streaming and self._clock() - gateway.heard_at < SILENT_SECONDS

    def connected(self) -> Mapping[str, bool]:
        """Gateways by name, and whether their stream is alive."""
        return {name: self._is_live(gateway) for name, gateway in sorted(self._gateways.items())}

    def heard_seconds(self) -> Mapping[str, float]:
        """Time since the last line of each gateway; infinite before the first."""
        now = self._clock()
        return {name: now - gateway.heard_at for name, gateway in sorted(self._gateways.items())}

    def acknowledgements(self, key: str) -> Mapping[str, RouteAcknowledgement | None]:
        """What each gateway has in effect for a model; None where it told nothing."""
        return {
            name: None if gateway.told is None else gateway.told.acknowledgements.get(key)
            for name, gateway in sorted(self._gateways.items())
        }

    def held(self, key: str) -> int | None:
        """Requests parked in all gateways; None when one is silent or there is none."""
        return self._sum(lambda told: told.held.get(key, 0))

    def in_flight(self, endpoint: str) -> int | None:
        """Requests under way to `ip:port` in all gateways.

        None when one is silent, and for one or two samples after the endpoint left.
        """
        return self._sum(
            lambda told: None if endpoint in told.unsure else told.in_flight.get(endpoint, 0)
        )

    def _sum(self, of: Callable[[_GatewayState], int | None]) -> int | None:
        total = 0
        for gateway in self._gateways.values():
            if gateway.told is None or not self._is_live(gateway):
                return None
            part = of(gateway.told)
            if part is None:
                return None
            total += part
        return total if self._gateways else None

    def probe_results(self, key: str) -> list[ProbeResult]:
        """Admission probes of a model's endpoints, by endpoint and gateway."""
        return [
            result
            for _, gateway in sorted(self._gateways.items())
            if gateway.told is not None
            for (model, _), result in sorted(gateway.told.probes.items())
            if model == key
        ]

    def probe_failures(self, key: str) -> Mapping[str, str]:
        """Endpoints kept out by some gateway, with what was wrong."""
        return {
            result.endpoint: result.reason
            for result in self.probe_results(key)
            if not result.passed
        }

    def rejections(self, key: str) -> Mapping[str, str]:
        """Gateways whose Envoy refused the model, with the reason."""
        return {
            name: gateway.told.rejections[key]
            for name, gateway in sorted(self._gateways.items())
            if gateway.told is not None and key in gateway.told.rejections
        }

    def answered(self, key: str) -> AnswerTimes:
        """What answers of a model took before the streams began, over all gateways."""
        total = AnswerTimes()
        for gateway in self._gateways.values():
            if gateway.told is not None:
                total = total.plus(gateway.told.answered.get(key, AnswerTimes()))
        return total

    def take_samples(self) -> list[GatewaySample]:
        """Samples since the last call, oldest first."""
        taken, self._samples = self._samples, []
        return taken


def _note(told: _GatewayState, message: Message) -> tuple[str, str]:
    """Write one piece of news down; returns the model and what kind of news it was."""
    match message:
        case Acknowledged(model=key, acknowledgement=acknowledgement):
            for endpoint in _left(told.acknowledgements.get(key), acknowledgement):
                told.unsure[endpoint] = SAMPLES_AFTER_LEAVING
            told.acknowledgements[key] = acknowledgement
            return key, "acknowledged"
        case Rejected(model=key, reason=reason):
            if reason:
                told.rejections[key] = reason
            else:
                told.rejections.pop(key, None)
            return key, "rejected"
        case ModelForgotten(model=key):
            told.acknowledgements.pop(key, None)
            told.rejections.pop(key, None)
            return key, "gone"
        case Held(model=key, requests=requests):
            told.held[key] = requests
            return key, "held"
        case Probed(result=result):
            told.probes[result.model, result.endpoint] = result
            return result.model, "probed"
        case ProbeWithdrawn(model=key, endpoint=endpoint):
            told.probes.pop((key, endpoint), None)
            return key, "probed"
    msg = f"no news about a model: {message!r}"
    raise ValueError(msg)


def _left(before: RouteAcknowledgement | None, now: RouteAcknowledgement) -> set[str]:
    if before is None:
        return set()
    return {e for found in before.endpoints.values() for e in found} - {
        e for found in now.endpoints.values() for e in found
    }


def _pinned(certificate_pem: str) -> ssl.SSLContext:
    """Trusts exactly this certificate, under the name that is in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=certificate_pem)
    return context
