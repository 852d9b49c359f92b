"""Reader of signals from Prometheus: every few seconds for all models, each value with its age.

`compose` runs it; `scaling.tick` reads the stored values and never waits. A signal without a usable
value keeps its last value while that is young, and has none after that. The fault, with advice,
goes into a condition. Must never block the event loop: all queries run in a thread.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
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
    "the operator has no Prometheus; set MODELFLEET_PROMETHEUS_URL",
)
NOT_ALLOWED = SignalFault(
    Reason.QUERY_NOT_ALLOWED,
    "queries are not allowed in this namespace; use a metric of the server instead of the query, or"
    " have the namespace added to MODELFLEET_QUERY_NAMESPACES",
)
SILENT = SignalFault(
    Reason.PROMETHEUS_SILENT,
    "Prometheus does not answer; check that it runs, and check MODELFLEET_PROMETHEUS_URL",
)
STALE = SignalFault(
    Reason.STALE_SIGNAL, "its last value is too old; see the operator's log and Prometheus"
)

SignalKey = tuple[Key, SignalSpec]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Period of the readings, and the range of `rate()`."""

    interval_seconds: float = 10.0
    window_seconds: int = 120

    @property
    def stale_seconds(self) -> float:
        """Age in seconds above which a value is not used."""
        return max(MIN_STALE_SECONDS, STALE_INTERVALS * self.interval_seconds)


@dataclass(slots=True)
class _SignalState:
    """State of one signal; times are monotonic seconds."""

    mark: str
    since: float
    """Time at which the signal was first wanted."""
    value: float | None = None
    value_at: float = float("-inf")
    whole_at: float = float("-inf")
    """Time of the newest value from all replicas."""
    is_whole: bool = False
    """Whether the newest attempt gave a value from all replicas."""
    is_tried: bool = False
    fault: SignalFault | None = None
    fault_since: float = 0.0
    failures: int = 0
    retry_at: float = float("-inf")
    form: Form = "vector"


class PrometheusSource:
    """The newest readings of all signals."""

    def __init__(
        self,
        server: Server | None,
        watched: Callable[[], Mapping[Key, Watched]],
        rhythm: Rhythm,
        monotonic: Callable[[], float] = time.monotonic,
        query_namespaces: Collection[str] = (),
    ) -> None:
        """`server` is None without an address; `watched` gives the signals and pods to read.

        Models outside `query_namespaces` may use no query; empty means that all may.
        """
        self._server = server
        self._watched = watched
        self._rhythm = rhythm
        self._monotonic = monotonic
        self._query_namespaces = frozenset(query_namespaces)
        self._states: dict[SignalKey, _SignalState] = {}
        self._read_at = float("-inf")
        self._is_silent = False

    def readings(self, key: Key, signals: Sequence[SignalSpec]) -> tuple[Reading, ...]:
        """Return the newest readings of a model's signals, in the order of the signals."""
        if self._server is None:
            return tuple(Reading(spec, fault=OFF) for spec in signals)
        now = self._monotonic()
        return tuple(self._reading(key, spec, now) for spec in signals)

    def _is_allowed(self, key: Key, spec: SignalSpec) -> bool:
        return (
            spec.query is None
            or not self._query_namespaces
            or key.namespace in self._query_namespaces
        )

    def _reading(self, key: Key, spec: SignalSpec, now: float) -> Reading:
        if not self._is_allowed(key, spec):
            return Reading(spec, fault=NOT_ALLOWED, is_known=True)
        state = self._states.get((key, spec))
        if state is None:
            state = self._states[key, spec] = _SignalState(secrets.token_hex(8), now)
        stale = self._rhythm.stale_seconds
        is_young = now - state.value_at <= stale
        is_current = state.is_whole and now - state.whole_at <= stale
        return Reading(
            spec,
            value=state.value if is_young else None,
            is_current=is_current,
            fault=None if is_current else self._fault(state, spec, now),
            is_known=state.is_tried or now - state.since > stale,
        )

    def _fault(self, state: _SignalState, spec: SignalSpec, now: float) -> SignalFault | None:
        """Return the fault to show: at once for a query that never worked, else once it lasts."""
        stale = self._rhythm.stale_seconds
        if state.fault is not None:
            never_worked = state.value is None and spec.query is not None
            is_shown = never_worked or now - state.fault_since > stale
            return state.fault if is_shown else None
        # Without a fault, either no replica could be read, or the reading itself hangs.
        if state.is_tried and not state.is_whole and now - self._read_at <= stale:
            return None
        return STALE if now - max(state.whole_at, state.since) > stale else None

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.round()
            except Exception:
                # Values grow old meanwhile; without a value the tick keeps the grants.
                log.exception("reading the signals broke")

    async def round(self) -> None:
        """Read the signals that are due: all at each interval, new signals at once."""
        began = self._monotonic()
        watched = dict(self._watched())
        wanted = {
            (key, spec)
            for key, watched_model in watched.items()
            for spec in watched_model.signals
            if self._is_allowed(key, spec)
        }
        self._states = {
            signal_key: state for signal_key, state in self._states.items() if signal_key in wanted
        }
        for signal_key in wanted:
            if signal_key not in self._states:
                self._states[signal_key] = _SignalState(secrets.token_hex(8), began)
        is_due = began - self._read_at >= self._rhythm.interval_seconds
        chosen = {
            signal_key: state
            for signal_key, state in self._states.items()
            if is_due or not state.is_tried
        }
        if not chosen or self._server is None:
            return
        result = await asyncio.to_thread(read_round, self._server, self._work_of(chosen, began))
        metrics.SIGNALS_SECONDS.observe(self._monotonic() - began)
        self._log_silence(result)
        for signal_key, state in chosen.items():
            is_asked = signal_key[1].query is None or began >= state.retry_at
            answer = (
                self._answer(signal_key, state, watched[signal_key[0]], result)
                if is_asked
                else None
            )
            if answer is not None:
                _store(state, answer, began)
        if is_due:
            self._read_at = began

    def _work_of(self, chosen: Mapping[SignalKey, _SignalState], now: float) -> ReadingRound:
        together: list[Question] = []
        alone: list[Question] = []
        names: set[str] = set()
        for (_, spec), state in chosen.items():
            if spec.metric is not None:
                names.add(spec.metric)
            elif spec.query is not None and now >= state.retry_at:
                question = Question(state.mark, spec.query, state.form)
                (alone if state.failures else together).append(question)
        return ReadingRound(
            together=tuple(together),
            alone=tuple(alone),
            metrics=tuple(sorted(names)),
            window_seconds=self._rhythm.window_seconds,
        )

    def _answer(
        self, signal_key: SignalKey, state: _SignalState, watched: Watched, result: RoundResult
    ) -> Answer | None:
        """Return the answer of this reading for one signal."""
        key, spec = signal_key
        if spec.metric is not None and spec.metric in result.metrics:
            return summed(key.namespace, watched, spec.metric, result)
        answer = result.answers.get(state.mark)
        if answer is None and result.silent is not None:
            return Answer(None, SILENT, form=state.form)
        return answer

    def _log_silence(self, result: RoundResult) -> None:
        """Log a line when the server stops answering, and one when it answers again."""
        if result.silent is not None and not self._is_silent:
            log.warning("prometheus does not answer", error=result.silent)
        elif result.silent is None and self._is_silent:
            log.info("prometheus answers again")
        self._is_silent = result.silent is not None


def _store(state: _SignalState, answer: Answer, at: float) -> None:
    """Store an answer to a query that was sent at `at`."""
    state.is_tried = True
    state.is_whole = answer.value is not None and answer.is_whole
    state.form = answer.form
    if answer.value is not None:
        state.value, state.value_at = answer.value, at
    if state.is_whole:
        state.whole_at = at
    before, now = state.fault, answer.fault
    if now is None:
        state.fault, state.failures = None, 0
    elif before is None:
        state.fault, state.fault_since = now, at
    elif before.reason is not now.reason:
        # The text of one reason may change (it names series); each new text would be a write.
        state.fault = now
    if now is not None and now.reason is Reason.QUERY_FAILED:
        pause = QUARANTINE_SECONDS[min(state.failures, len(QUARANTINE_SECONDS) - 1)]
        state.failures += 1
        state.retry_at = at + pause
    elif now is not SILENT:
        state.failures = 0
