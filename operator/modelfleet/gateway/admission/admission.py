"""Admission of endpoints: one generated request to each endpoint that becomes ready.

`agent` passes in each version's ready endpoints; `xds.controller` reads the admitted ones. A wrong
answer keeps an endpoint out only while another replica of the model answers its own probe rightly:
a generated request may suit no replica of a healthy model. The probe of an endpoint that is kept
out is repeated for as long as it stays ready.
An endpoint that answers too late several times is admitted. One that says itself that it does not
serve yet is asked until it does. Endpoints that were ready before
`begin` are admitted at once. Must never take out an endpoint that is admitted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from modelfleet.catalog.probes import ProbeOutcome, ProbeSpec
from modelfleet.facts.traffic import ProbeResult

log = structlog.get_logger()

Name = tuple[str, str]
PATIENCE_TRIES = 3
"""Probes in a row without an answer after which an endpoint is admitted all the same."""
COMPARED = 2
"""Admitted replicas of the model that are asked after a wrong answer."""
UNFIT_NOTE = "admitted, as no other replica answers a generated request rightly"
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, LATE_WAIT_SECONDS = 2.0, 15.0, 0.5
LOADING_WAIT_SECONDS = 1.0


class Prober(Protocol):
    """Probes one endpoint once."""

    async def ask(self, endpoint: str, spec: ProbeSpec) -> ProbeOutcome:
        """Send one probe. Never raises."""
        ...


class Reporter(Protocol):
    """Receiver of probe results; see `link.feed`."""

    def record_probe(self, result: ProbeResult) -> None:
        """Record the result of a probe."""
        ...

    def withdraw_probe(self, model: str, endpoint: str) -> None:
        """Drop the result of an endpoint that left."""
        ...


@dataclass(slots=True)
class _EndpointState:
    pod: str
    is_admitted: bool
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Version:
    model: str
    probe: ProbeSpec | None
    endpoints: dict[str, _EndpointState] = field(default_factory=dict)
    admitted: tuple[str, ...] = ()


class Admission:
    """Endpoints of all versions, and which of them are admitted."""

    def __init__(
        self,
        prober: Prober,
        reporter: Reporter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """The owner sets `on_change(version)`."""
        self._prober = prober
        self._reporter = reporter
        self._sleep = sleep
        self._versions: dict[Name, _Version] = {}
        self._is_watching = False
        self.on_change: Callable[[Name], None] = lambda _: None

    def use(self, prober: Prober) -> None:
        """Probe with this prober from now on."""
        self._prober = prober

    def begin(self) -> None:
        """Probe every endpoint that becomes ready from now on: the caches are complete."""
        self._is_watching = True

    def admitted(self, version: Name) -> tuple[str, ...]:
        """Return the endpoints of a version that may get traffic, sorted."""
        version_state = self._versions.get(version)
        return version_state.admitted if version_state else ()

    def update(
        self, name: Name, model: str, probe: ProbeSpec | None, ready: dict[str, str]
    ) -> None:
        """Take the ready endpoints of a version: `ready` is `ip:port` to pod."""
        version = self._versions.setdefault(name, _Version(model, probe))
        version.model, version.probe = model, probe
        for endpoint in [e for e, c in version.endpoints.items() if ready.get(e) != c.pod]:
            self._remove(version, endpoint)
        for endpoint, pod in ready.items():
            if endpoint not in version.endpoints:
                self._add(name, version, endpoint, pod)
        self._settle(version)

    def forget(self, name: Name) -> None:
        """Drop a version that was deleted."""
        version = self._versions.pop(name, None)
        if version is not None:
            for endpoint in list(version.endpoints):
                self._remove(version, endpoint)

    async def close(self) -> None:
        """Cancel all probes."""
        tasks = [
            state.task
            for version in self._versions.values()
            for state in version.endpoints.values()
            if state.task is not None
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _add(self, name: Name, version: _Version, endpoint: str, pod: str) -> None:
        is_probed = self._is_watching and version.probe is not None
        state = _EndpointState(pod, is_admitted=not is_probed)
        version.endpoints[endpoint] = state
        if version.probe is not None and is_probed:
            state.task = asyncio.create_task(
                self._ask(name, version, endpoint, state), name=f"probe {endpoint}"
            )

    def _remove(self, version: _Version, endpoint: str) -> None:
        state = version.endpoints.pop(endpoint)
        if state.task is not None:
            state.task.cancel()
        self._reporter.withdraw_probe(version.model, endpoint)

    @staticmethod
    def _settle(version: _Version) -> None:
        version.admitted = tuple(
            sorted(e for e, state in version.endpoints.items() if state.is_admitted)
        )

    async def _ask(
        self, name: Name, version: _Version, endpoint: str, state: _EndpointState
    ) -> None:
        """Probe until the endpoint is admitted; cancelled when the endpoint leaves."""
        late_answers, wait, loading = 0, FIRST_WAIT_SECONDS, 0.0
        is_said = False
        while version.probe is not None:
            outcome = await self._prober.ask(endpoint, version.probe)
            if outcome.kind == "Loading":
                # As with any start, time alone is no fault before the spec's own limit.
                if loading >= version.probe.startup_seconds and not is_said:
                    self._report(name, version, endpoint, outcome, passed=False)
                    is_said = True
                await self._sleep(LOADING_WAIT_SECONDS)
                loading += LOADING_WAIT_SECONDS
                continue
            if outcome.kind == "Wrong" and not await self._is_answered_elsewhere(name, endpoint):
                outcome = ProbeOutcome("Unfit", f"{outcome.reason}; {UNFIT_NOTE}")
                break
            if outcome.kind == "Wrong":
                self._report(name, version, endpoint, outcome, passed=False)
                await self._sleep(wait)
                late_answers, wait = 0, min(2 * wait, LONGEST_WAIT_SECONDS)
                continue
            late_answers += outcome.kind == "Late"
            if outcome.kind == "Late" and late_answers < PATIENCE_TRIES:
                await self._sleep(LATE_WAIT_SECONDS)
                continue
            break
        state.is_admitted = True
        self._settle(version)
        self._report(name, version, endpoint, outcome, passed=True)
        self.on_change(name)

    async def _is_answered_elsewhere(self, name: Name, endpoint: str) -> bool:
        """Return whether a replica that is admitted answers the probe of its version rightly."""
        model = self._versions[name].model if name in self._versions else ""
        others = [
            (other, version.probe)
            for (namespace, _), version in sorted(self._versions.items())
            if namespace == name[0] and version.model == model and version.probe is not None
            for other in version.admitted
            if other != endpoint
        ]
        for other, probe in others[:COMPARED]:
            if (await self._prober.ask(other, probe)).kind == "Right":
                return True
        return False

    def _report(
        self, name: Name, version: _Version, endpoint: str, outcome: ProbeOutcome, *, passed: bool
    ) -> None:
        model = f"{name[0]}/{version.model}"
        if not passed or outcome.reason:
            log.warning(
                "probe", model=model, endpoint=endpoint, passed=passed, reason=outcome.reason
            )
        self._reporter.record_probe(ProbeResult(model, name[1], endpoint, passed, outcome.reason))
