"""One reading of all signals of the fleet: few queries out, an answer for each signal back.

Run by `prometheus.signal_reader` in a thread, so it must never touch what others hold. A query that
breaks a batch is found by halving it, so that one bad query never blinds the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from modelfleet.api.reasons import Reason
from modelfleet.catalog.signals import server_series
from modelfleet.facts.readings import SignalFault, Watched
from modelfleet.prometheus.queries import (
    Answer,
    Form,
    QueryRejected,
    Question,
    Row,
    ServerSilent,
    answers_of,
    batches,
    joined,
    number_of,
    rejected,
    unclosed,
    wrong,
)

Pod = tuple[str, str]
"""Namespace and name."""
_UNCLOSED = SignalFault(Reason.QUERY_FAILED, "the brackets or quotes of the query do not close")


class Server(Protocol):
    """What is asked; see `prometheus.connection`."""

    def ask(self, query: str) -> Sequence[Row]:
        """The series of an instant query; raises QueryRejected or ServerSilent."""
        ...


@dataclass(frozen=True, slots=True)
class ReadingRound:
    """What to read: queries that go together, suspects that are asked alone, metrics by name."""

    together: tuple[Question, ...] = ()
    alone: tuple[Question, ...] = ()
    metrics: tuple[str, ...] = ()
    window_seconds: int = 120


@dataclass(slots=True)
class RoundResult:
    """What was read. `silent` says why the rest is missing, where the server went away."""

    answers: dict[str, Answer] = field(default_factory=dict)
    metrics: dict[str, dict[Pod, float] | SignalFault] = field(default_factory=dict)
    scraped: set[Pod] = field(default_factory=set)
    silent: str | None = None


def read_round(server: Server, work: ReadingRound) -> RoundResult:
    """Ask for everything, one query after the other; ends at once when the server is silent."""
    found = RoundResult()
    try:
        _read_metrics(server, work, found)
        sound = []
        for question in (*work.together, *work.alone):
            if unclosed(question.query):
                found.answers[question.mark] = Answer(None, _UNCLOSED)
            elif question in work.alone:
                found.answers[question.mark] = _alone(server, question)
            else:
                sound.append(question)
        for batch in batches(sound):
            found.answers |= _batch(server, batch)
    except ServerSilent as silence:
        found.silent = str(silence)
    return found


def _read_metrics(server: Server, work: ReadingRound, found: RoundResult) -> None:
    if not work.metrics:
        return
    found.scraped = {
        pod for pod, up in _by_pod(server.ask(server_series.SCRAPED)).items() if up > 0
    }
    for metric in work.metrics:
        try:
            rows = server.ask(server_series.query_of(metric, work.window_seconds))
        except QueryRejected as error:
            found.metrics[metric] = rejected(str(error))
        else:
            found.metrics[metric] = _by_pod(rows)


def _by_pod(rows: Sequence[Row]) -> dict[Pod, float]:
    found = {}
    for row in rows:
        labels, value = row.get("metric", {}), number_of(row)
        if value is not None and "namespace" in labels and "pod" in labels:
            found[labels["namespace"], labels["pod"]] = value
    return found


def _batch(server: Server, batch: Sequence[Question]) -> dict[str, Answer]:
    if len(batch) == 1:
        return {batch[0].mark: _alone(server, batch[0])}
    try:
        return answers_of(batch, server.ask(joined(batch)))
    except QueryRejected:
        half = len(batch) // 2
        return _batch(server, batch[:half]) | _batch(server, batch[half:])


def _alone(server: Server, question: Question) -> Answer:
    """The answer to one query: a vector as a rule, or a scalar, which only the server can tell."""
    forms = [question, Question(question.mark, question.query, _other(question))]
    errors = []
    for asked in forms:
        try:
            return answers_of([asked], server.ask(joined([asked])))[asked.mark]
        except QueryRejected as error:
            errors.append(str(error))
    is_scalar = "scalar" in errors[0].rsplit("got", 1)[-1]
    return Answer(None, rejected(errors[1] if is_scalar else errors[0]))


def _other(question: Question) -> Form:
    return "vector" if question.form == "scalar" else "scalar"


def summed(namespace: str, watched: Watched, metric: str, found: RoundResult) -> Answer:
    """A canonical metric of one model: the sum over its pods.

    Worked example: two ready replicas with 3 and 4 waiting: 7. One of them is not scraped: 3, which
    may raise the number and not lower it.
    """
    table = found.metrics.get(metric)
    if isinstance(table, SignalFault):
        return Answer(None, table)
    if table is None or not watched.ready:
        # Nobody can be asked: what is not known lowers nothing, and is no fault.
        return Answer(None, None, is_whole=False)
    values = {pod: table[namespace, pod] for pod in watched.pods if (namespace, pod) in table}
    # A server may show a counter only after its first request: then it is as if it was 0.
    zero = {pod for pod in watched.ready if values and (namespace, pod) in found.scraped}
    missing = [pod for pod in watched.ready if pod not in values and pod not in zero]
    fault = _missing(namespace, watched, metric, found) if missing else None
    if not values:
        return Answer(None, fault, is_whole=False)
    total = sum(values.values())
    fault = wrong(total) or fault
    return Answer(None if wrong(total) else total, fault, is_whole=not missing)


def _missing(namespace: str, watched: Watched, metric: str, found: RoundResult) -> SignalFault:
    if all((namespace, pod) in found.scraped for pod in watched.ready):
        text = (
            f"no replica exports {metric} under a name that is known for vLLM, Triton, MLServer or"
            " modelfleet's own server; use a query instead"
        )
    else:
        text = (
            f"{metric} is not known of every ready replica: Prometheus must scrape them with the"
            " labels namespace and pod"
        )
    return SignalFault(Reason.NO_SERIES, text)
