"""Lets endpoints into traffic: one generated request to each that becomes ready (rule 4).

Fed by `agent` with each version's ready endpoints, asked by `controller`. Only a wrong answer
keeps an endpoint out, and it is asked again for as long as it stays ready; patience that runs
out lets it in. What was ready before `begin` is let in at once. Must never take out an endpoint
that is in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog

from modelfleet.facts.traffic import ProbeResult
from modelfleet.gateway.watched.view import ProbeSpec

log = structlog.get_logger()

Name = tuple[str, str]
PATIENCE_TRIES = 3
"""Answers that did not come, in a row, before an endpoint is let in all the same."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, LATE_WAIT_SECONDS = 2.0, 15.0, 0.5


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What a probe found. `Unfit`: the server cannot be asked so, which proves nothing."""

    kind: Literal["Right", "Wrong", "Late", "Unfit"]
    reason: str = ""


class Prober(Protocol):
    """Asks one endpoint once."""

    async def ask(self, endpoint: str, spec: ProbeSpec) -> ProbeOutcome:
        """Never raises."""
        ...


class Reporter(Protocol):
    """Who wants to know; see `board`."""

    def probed(self, result: ProbeResult) -> None:
        """A probe ended."""
        ...

    def unprobed(self, model: str, endpoint: str) -> None:
        """An endpoint left."""
        ...


@dataclass(slots=True)
class _Candidate:
    pod: str
    is_admitted: bool
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Version:
    model: str
    probe: ProbeSpec | None
    endpoints: dict[str, _Candidate] = field(default_factory=dict)
    admitted: tuple[str, ...] = ()


class Admission:
    """Endpoints of all versions and who of them is in."""

    def __init__(
        self,
        prober: Prober,
        reporter: Reporter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`on_change(version)` is set by the owner."""
        self._prober = prober
        self._reporter = reporter
        self._sleep = sleep
        self._versions: dict[Name, _Version] = {}
        self._is_watching = False
        self.on_change: Callable[[Name], None] = lambda _: None

    def use(self, prober: Prober) -> None:
        """Ask by this one from now on."""
        self._prober = prober

    def begin(self) -> None:
        """The caches are complete: whoever becomes ready from now on is asked."""
        self._is_watching = True

    def admitted(self, version: Name) -> tuple[str, ...]:
        """Endpoints of a version that may get traffic, sorted."""
        found = self._versions.get(version)
        return found.admitted if found else ()

    def update(
        self, name: Name, model: str, probe: ProbeSpec | None, ready: dict[str, str]
    ) -> None:
        """`ready` (`ip:port` to pod) are the version's ready endpoints now."""
        version = self._versions.setdefault(name, _Version(model, probe))
        version.model, version.probe = model, probe
        for endpoint in [e for e, c in version.endpoints.items() if ready.get(e) != c.pod]:
            self._leave(version, endpoint)
        for endpoint, pod in ready.items():
            if endpoint not in version.endpoints:
                self._arrive(name, version, endpoint, pod)
        self._settle(version)

    def forget(self, name: Name) -> None:
        """The version is gone."""
        version = self._versions.pop(name, None)
        if version is not None:
            for endpoint in list(version.endpoints):
                self._leave(version, endpoint)

    async def close(self) -> None:
        """End all probes."""
        tasks = [
            candidate.task
            for version in self._versions.values()
            for candidate in version.endpoints.values()
            if candidate.task is not None
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _arrive(self, name: Name, version: _Version, endpoint: str, pod: str) -> None:
        is_asked = self._is_watching and version.probe is not None
        candidate = _Candidate(pod, is_admitted=not is_asked)
        version.endpoints[endpoint] = candidate
        if version.probe is not None and is_asked:
            candidate.task = asyncio.create_task(
                self._ask(name, version, endpoint, candidate), name=f"probe {endpoint}"
            )

    def _leave(self, version: _Version, endpoint: str) -> None:
        candidate = version.endpoints.pop(endpoint)
        if candidate.task is not None:
            candidate.task.cancel()
        self._reporter.unprobed(version.model, endpoint)

    @staticmethod
    def _settle(version: _Version) -> None:
        version.admitted = tuple(
            sorted(e for e, candidate in version.endpoints.items() if candidate.is_admitted)
        )

    async def _ask(
        self, name: Name, version: _Version, endpoint: str, candidate: _Candidate
    ) -> None:
        """Until it is in; cancelled when the endpoint leaves."""
        late, wait = 0, FIRST_WAIT_SECONDS
        while version.probe is not None:
            verdict = await self._prober.ask(endpoint, version.probe)
            if verdict.kind == "Wrong":
                self._report(name, version, endpoint, verdict, passed=False)
                await self._sleep(wait)
                late, wait = 0, min(2 * wait, LONGEST_WAIT_SECONDS)
                continue
            late += verdict.kind == "Late"
            if verdict.kind == "Late" and late < PATIENCE_TRIES:
                await self._sleep(LATE_WAIT_SECONDS)
                continue
            break
        candidate.is_admitted = True
        self._settle(version)
        self._report(name, version, endpoint, verdict, passed=True)
        self.on_change(name)

    def _report(
        self, name: Name, version: _Version, endpoint: str, verdict: ProbeOutcome, *, passed: bool
    ) -> None:
        model = f"{name[0]}/{version.model}"
        if not passed or verdict.reason:
            log.warning(
                "probe", model=model, endpoint=endpoint, passed=passed, reason=verdict.reason
            )
        self._reporter.probed(ProbeResult(model, name[1], endpoint, passed, verdict.reason))
