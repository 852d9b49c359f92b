"""Client of the links: one stream from each gateway's agent to the leader, read into memory.

`compose` runs it; the engine reads it through its port `Gateways`. All reads are from memory and
synchronous. A silent gateway makes sums unknown (None), never smaller. Must never block a turn.
Must never drop an acknowledgement only because a stream broke: the gateway may serve on by it.
"""

import asyncio
import random
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
from modelfleet.link.link_trust import LinkAccess, LinkTrust
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
"""Samples to wait for after an endpoint left. The first one may have been cut before Envoy's last
log entries came."""
MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_SAMPLES = 60
"""Waiting samples of all gateways. Above that the oldest are dropped, since a standby reads
none."""


@dataclass(slots=True)
class _GatewayState:
    """State that one stream has sent. `draft` of `_Gateway` is filled until it is complete."""

    acknowledgements: dict[str, RouteAcknowledgement] = field(default_factory=dict)
    rejections: dict[str, str] = field(default_factory=dict)
    probes: dict[tuple[str, str], ProbeResult] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    answered: dict[str, AnswerTimes] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    uncertain: dict[str, int] = field(default_factory=dict)
    """Endpoints that just left, and how many samples must come before their number is certain."""


@dataclass(slots=True)
class _Gateway:
    address: str
    state: _GatewayState | None = None
    draft: _GatewayState | None = None
    last_line_at: float = float("-inf")
    is_streaming: bool = False
    task: asyncio.Task[None] | None = None


class GatewayLinks:
    """Streams of all gateways, and the state that they sent."""

    def __init__(
        self,
        *,
        trust: LinkTrust,
        on_change: Callable[[str, str], None],
        port: int = names.PORT_LINK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change(key, why)` is called for each change of a model at a gateway."""
        self._trust = trust
        self._on_change = on_change
        self._port = port
        self._clock = clock
        self._gateways: dict[str, _Gateway] = {}
        self._samples: list[GatewaySample] = []
        self._changed = asyncio.Event()
        self.on_held: Callable[[str], None] = lambda _: None

    # -- streams ----------------------------------------------------------------------------

    def update(self, addresses: Mapping[str, str]) -> None:
        """Set the gateways that exist now: pod name to IP address."""
        for name in [n for n, g in self._gateways.items() if addresses.get(n) != g.address]:
            self._drop(name)
        for name, address in addresses.items():
            if name not in self._gateways:
                self._gateways[name] = _Gateway(address)
                self._changed.set()

    def _drop(self, name: str) -> None:
        gateway = self._gateways.pop(name)
        if gateway.task is not None:
            gateway.task.cancel()
        if gateway.state is not None:
            for key in {*gateway.state.acknowledgements, *gateway.state.held}:
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
        wait, attempts = FIRST_WAIT_SECONDS, 0
        while True:
            why = "ended"
            await self._trust.is_known.wait()
            # A gateway that has not got the newest content yet still takes the one before.
            accesses = self._trust.accesses()
            access = accesses[attempts % len(accesses)]
            attempts += 1
            try:
                await self._stream(session, name, gateway, access)
            except Exception as error:  # noqa: BLE001 - nothing that a gateway sends may end this
                why = repr(error)
            was_complete = gateway.state is not None and gateway.is_streaming
            gateway.is_streaming, gateway.draft = False, None
            log.info("gateway silent", gateway=name, why=why[:200])
            if was_complete:
                wait, attempts = FIRST_WAIT_SECONDS, 0
            # Random waits: after a restart the leader must not call all agents at one moment.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _stream(
        self, session: aiohttp.ClientSession, name: str, gateway: _Gateway, access: LinkAccess
    ) -> None:
        context = access.context
        scheme = "http" if context is None else "https"
        host = bracketed(gateway.address)
        async with session.get(
            f"{scheme}://{host}:{self._port}/v1/stream",
            headers={"Authorization": f"Bearer {access.token}"},
            ssl=context if context is not None else False,
            server_hostname=names.GATEWAY_LINK_HOST if context is not None else None,
        ) as response:
            response.raise_for_status()
            gateway.draft = _GatewayState()
            async for line in response.content:
                gateway.last_line_at = self._clock()
                message = decode_message(line)
                if message is not None:
                    self._handle(name, gateway, message)

    # -- messages in ------------------------------------------------------------------------

    def _handle(self, name: str, gateway: _Gateway, message: Message) -> None:
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
                state = gateway.draft or gateway.state
                if state is not None:
                    key, why = _store(state, message)
                    if gateway.draft is None:
                        self._notify(key, why)

    def _complete(self, name: str, gateway: _Gateway) -> None:
        before, state = gateway.state, gateway.draft
        if state is None:
            return
        gateway.state, gateway.draft, gateway.is_streaming = state, None, True
        log.info("gateway connected", gateway=name, models=len(state.acknowledgements))
        keys_before = set() if before is None else {*before.acknowledgements, *before.held}
        for key in sorted({*keys_before, *state.acknowledgements, *state.held, *state.rejections}):
            self._notify(key, "held" if key in state.held else "connected")

    def _sampled(self, gateway: _Gateway, sample: GatewaySample) -> None:
        state = gateway.state
        if state is None:
            return
        state.held = {key: model.held for key, model in sample.models.items() if model.held}
        state.in_flight = {
            endpoint: number
            for model in sample.models.values()
            for endpoint, number in model.pods_in_flight.items()
        }
        state.uncertain = {e: number - 1 for e, number in state.uncertain.items() if number > 1}
        self._samples.append(sample)
        del self._samples[:-MAX_SAMPLES]

    def _notify(self, key: str, why: str) -> None:
        if why == "held":
            self.on_held(key)
        self._on_change(key, why)

    # -- state out --------------------------------------------------------------------------

    def _is_live(self, gateway: _Gateway) -> bool:
        return gateway.is_streaming and self._clock() - gateway.last_line_at < SILENT_SECONDS

    def connected(self) -> Mapping[str, bool]:
        """Return the gateways by name, and whether their stream is alive."""
        return {name: self._is_live(gateway) for name, gateway in sorted(self._gateways.items())}

    def silent_seconds(self) -> Mapping[str, float]:
        """Return the seconds since the last line of each gateway; infinite before the first."""
        now = self._clock()
        return {name: now - g.last_line_at for name, g in sorted(self._gateways.items())}

    def acknowledgements(self, key: str) -> Mapping[str, RouteAcknowledgement | None]:
        """Return what each gateway has in effect for a model; None where no report has come."""
        return {
            name: None if gateway.state is None else gateway.state.acknowledgements.get(key)
            for name, gateway in sorted(self._gateways.items())
        }

    def held(self, key: str) -> int | None:
        """Return held requests in all gateways; None when a gateway is silent or none exists."""
        return self._sum(lambda state: state.held.get(key, 0))

    def in_flight(self, endpoint: str) -> int | None:
        """Return requests under way to `ip:port` in all gateways.

        None when a gateway is silent, and for one or two samples after the endpoint left.
        """
        return self._sum(
            lambda state: None if endpoint in state.uncertain else state.in_flight.get(endpoint, 0)
        )

    def _sum(self, of: Callable[[_GatewayState], int | None]) -> int | None:
        total = 0
        for gateway in self._gateways.values():
            if gateway.state is None or not self._is_live(gateway):
                return None
            part = of(gateway.state)
            if part is None:
                return None
            total += part
        return total if self._gateways else None

    def probe_results(self, key: str) -> list[ProbeResult]:
        """Return the admission probes of a model's endpoints, by endpoint and gateway."""
        return [
            result
            for _, gateway in sorted(self._gateways.items())
            if gateway.state is not None
            for (model, _), result in sorted(gateway.state.probes.items())
            if model == key
        ]

    def probe_failures(self, key: str) -> Mapping[str, str]:
        """Return endpoints that some gateway keeps out, with the failure."""
        return {
            result.endpoint: result.reason
            for result in self.probe_results(key)
            if not result.passed
        }

    def rejections(self, key: str) -> Mapping[str, str]:
        """Return gateways whose Envoy refused the model, with the reason."""
        return {
            name: gateway.state.rejections[key]
            for name, gateway in sorted(self._gateways.items())
            if gateway.state is not None and key in gateway.state.rejections
        }

    def answered(self, key: str) -> AnswerTimes:
        """Return how long a model's answers took before the streams began, over all gateways."""
        total = AnswerTimes()
        for gateway in self._gateways.values():
            if gateway.state is not None:
                total = total.plus(gateway.state.answered.get(key, AnswerTimes()))
        return total

    def take_samples(self) -> list[GatewaySample]:
        """Return the samples since the last call, oldest first."""
        samples, self._samples = self._samples, []
        return samples


def _store(state: _GatewayState, message: Message) -> tuple[str, str]:
    """Store one message about a model; return the model and the kind of change."""
    match message:
        case Acknowledged(model=key, acknowledgement=acknowledgement):
            for endpoint in _removed_endpoints(state.acknowledgements.get(key), acknowledgement):
                state.uncertain[endpoint] = SAMPLES_AFTER_LEAVING
            state.acknowledgements[key] = acknowledgement
            return key, "acknowledged"
        case Rejected(model=key, reason=reason):
            if reason:
                state.rejections[key] = reason
            else:
                state.rejections.pop(key, None)
            return key, "rejected"
        case ModelForgotten(model=key):
            state.acknowledgements.pop(key, None)
            state.rejections.pop(key, None)
            return key, "gone"
        case Held(model=key, requests=requests):
            state.held[key] = requests
            return key, "held"
        case Probed(result=result):
            state.probes[result.model, result.endpoint] = result
            return result.model, "probed"
        case ProbeWithdrawn(model=key, endpoint=endpoint):
            state.probes.pop((key, endpoint), None)
            return key, "probed"
    msg = f"no message about a model: {message!r}"
    raise ValueError(msg)


def _removed_endpoints(before: RouteAcknowledgement | None, now: RouteAcknowledgement) -> set[str]:
    if before is None:
        return set()
    return {e for addresses in before.endpoints.values() for e in addresses} - {
        e for addresses in now.endpoints.values() for e in addresses
    }
