"""Signals from Prometheus: read every few seconds for the whole fleet, kept with their age.

Run by `main`; the tick reads what is known and never waits. A signal without a usable value keeps
its last one while that is young, then none; why, and what to do, is said for the condition. Must
never block the loop: all asking happens in a thread.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from modelfleet.api.reasons import Reason
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading, SignalFault, SignalSpec, Watched
from modelfleet.prometheus.queries import Answer, Form, Question
from modelfleet.prometheus.reading_round import (
    ReadingRound,
    RoundResult,
    Server,
    read_round,
    summed,
)
from modelfleet.telemetry import metrics

POLL_SECONDS = 1.0
MIN_STALE_SECONDS = 60.0
STALE_INTERVALS = 4
QUARANTINE_SECONDS = (30.0, 60.0, 120.0, 300.0)

OFF = SignalFault(
    Reason.PROMETHEUS_OFF,
    "the operator knows no Prometheus; set MODELFLEET_PROMETHEUS_URL",
)
SILENT = SignalFault(
    Reason.PROMETHEUS_SILENT,
    "Prometheus does not answer; see that it runs, and MODELFLEET_PROMETHEUS_URL",
)
STALE = SignalFault(
    Reason.STALE_SIGNAL, "it was not read for too long; see the operator's log and Prometheus"
)

Place = tuple[Key, SignalSpec]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often to read, and over which time rates are taken."""

    interval_seconds: float = 10.0
    window_seconds: int = 120

    @property
    def stale_seconds(self) -> float:
        """Older values are not believed."""
        return max(MIN_STALE_SECONDS, STALE_INTERVALS * self.interval_seconds)


@dataclass(slots=True)
class _KnownSignal:
    """What is known of one signal; times are monotonic seconds."""

    mark: str
    since: float
    """When it was first asked for."""
    value: float | None = None
    value_at: float = float("-inf")
    whole_at: float = float("-inf")
    """When the newest value of all replicas was read."""
    is_whole: bool = False
    """Whether the newest attempt gave one."""
    is_tried: bool = False
    fault: SignalFault | None = None
    fault_since: float = 0.0
    failures: int = 0
    again_at: float = float("-inf")
    form: Form = "vector"


class PrometheusSource:
    """The newest readings of all signals."""

    def __init__(
        self,
        server: Server | None,
        watched: Callable[[], Mapping[Key, Watched]],
        rhythm: Rhythm,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server` is None where no address is set; `watched` says what the leader follows."""
        self._server = server
        self._watched = watched
        self._rhythm = rhythm
        self._monotonic = monotonic
        self._known: dict[Place, _KnownSignal] = {}
        self._read_at = float("-inf")
        self._is_silent = False

    def readings(self, key: Key, signals: Sequence[SignalSpec]) -> tuple[Reading, ...]:
        """What is known of a model's signals now, in their order."""
        if self._server is None:
            return tuple(Reading(spec, fault=OFF) for spec in signals)
        now = self._monotonic()
        return tuple(self._reading(key, spec, now) for spec in signals)

    def _reading(self, key: Key, spec: SignalSpec, now: float) -> Reading:
        known = self._known.get((key, spec))
        if known is None:
            known = self._known[key, spec] = _KnownSignal(secrets.token_hex(8), now)
        stale = self._rhythm.stale_seconds
        is_young = now - known.value_at <= stale
        is_current = known.is_whole and now - known.whole_at <= stale
        return Reading(
            spec,
            value=known.value if is_young else None,
            is_current=is_current,
            fault=None if is_current else self._fault(known, spec, now),
            is_known=known.is_tried or now - known.since > stale,
        )

    def _fault(self, known: _KnownSignal, spec: SignalSpec, now: float) -> SignalFault | None:
        """What to say: at once of a query that never was right, otherwise of what lasts."""
        stale = self._rhythm.stale_seconds
        if known.fault is not None:
            never = known.value is None and spec.query is not None
            is_said = never or now - known.fault_since > stale
            return known.fault if is_said else None
        # Either nothing went wrong and no replica is there to ask, or the reading itself hangs.
        if known.is_tried and not known.is_whole and now - self._read_at <= stale:
            return None
        return STALE if now - max(known.whole_at, known.since) > stale else None

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.round()
            except Exception:
                # Values grow old meanwhile, and then the numbers are held.
                log.exception("reading the signals broke")

    async def round(self) -> None:
        """Read what is due, if anything is: all at each interval, at once what is new."""
        began = self._monotonic()
        watched = dict(self._watched())
        wanted = {(key, spec) for key, one in watched.items() for spec in one.signals}
        self._known = {place: known for place, known in self._known.items() if place in wanted}
        for place in wanted:
            if place not in self._known:
                self._known[place] = _KnownSignal(secrets.token_hex(8), began)
        is_due = began - self._read_at >= self._rhythm.interval_seconds
        chosen = {
            place: known for place, known in self._known.items() if is_due or not known.is_tried
        }
        if not chosen or self._server is None:
            return
        found = await asyncio.to_thread(read_round, self._server, self._work(chosen, began))
        metrics.SIGNALS_SECONDS.observe(self._monotonic() - began)
        self._say(found)
        for place, known in chosen.items():
            is_asked = place[1].query is None or began >= known.again_at
            answer = self._answer(place, known, watched[place[0]], found) if is_asked else None
            if answer is not None:
                _learn(known, answer, began)
        if is_due:
            self._read_at = began

    def _work(self, chosen: Mapping[Place, _KnownSignal], now: float) -> ReadingRound:
        together: list[Question] = []
        alone: list[Question] = []
        names: set[str] = set()
        for (_, spec), known in chosen.items():
            if spec.metric is not None:
                names.add(spec.metric)
            elif spec.query is not None and now >= known.again_at:
                question = Question(known.mark, spec.query, known.form)
                (alone if known.failures else together).append(question)
        return ReadingRound(
            together=tuple(together),
            alone=tuple(alone),
            metrics=tuple(sorted(names)),
            window_seconds=self._rhythm.window_seconds,
        )

    def _answer(
        self, place: Place, known: _KnownSignal, watched: Watched, found: RoundResult
    ) -> Answer | None:
        """What this reading says of a signal that it was asked for."""
        key, spec = place
        if spec.metric is not None and spec.metric in found.metrics:
            return summed(key.namespace, watched, spec.metric, found)
        answer = found.answers.get(known.mark)
        if answer is None and found.silent is not None:
            return Answer(None, SILENT, form=known.form)
        return answer

    def _say(self, found: RoundResult) -> None:
        """One line of the log when the server goes, and one when it is back."""
        if found.silent is not None and not self._is_silent:
            log.warning("prometheus does not answer", error=found.silent)
        elif found.silent is None and self._is_silent:
            log.info("prometheus answers again")
        self._is_silent = found.silent is not None


def _learn(known: _KnownSignal, answer: Answer, at: float) -> None:
    """Keep an answer that was asked for at `at`."""
    known.is_tried = True
    known.is_whole = answer.value is not None and answer.is_whole
    known.form = answer.form
    if answer.value is not None:
        known.value, known.value_at = answer.value, at
    if known.is_whole:
        known.whole_at = at
    before, now = known.fault, answer.fault
    if now is None:
        known.fault, known.failures = None, 0
    elif before is None:
        known.fault, known.fault_since = now, at
    elif before.reason is not now.reason:
        # Words of one reason may move (they name series); each new text would be a write.
        known.fault = now
    if now is not None and now.reason is Reason.QUERY_FAILED:
        pause = QUARANTINE_SECONDS[min(known.failures, len(QUARANTINE_SECONDS) - 1)]
        known.failures += 1
        known.again_at = at + pause
    elif now is not SILENT:
        known.failures = 0
