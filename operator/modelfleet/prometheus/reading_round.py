"""One reading of all signals of all models: few queries out, an answer for each signal back.

`prometheus.signal_reader` runs it in a thread. A query that breaks a batch is found by halving the
batch, so that one bad query never stops the others. Must never touch values that other threads use.
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
    value_fault,
)

Pod = tuple[str, str]
"""Namespace and name."""
_UNCLOSED = SignalFault(Reason.QUERY_FAILED, "the brackets or quotes of the query do not close")


class Server(Protocol):
    """The Prometheus server; see `prometheus.connection`."""

    def ask(self, query: str) -> Sequence[Row]:
        """Return the series of an instant query.

        Raises QueryRejected or ServerSilent.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReadingRound:
    """Work of a round: queries that go together, suspects that go alone, metrics by name."""

    together: tuple[Question, ...] = ()
    alone: tuple[Question, ...] = ()
    metrics: tuple[str, ...] = ()
    window_seconds: int = 120


@dataclass(slots=True)
class RoundResult:
    """Answers of a round. `silent`: why the rest is missing, if the server stopped answering."""

    answers: dict[str, Answer] = field(default_factory=dict)
    metrics: dict[str, dict[Pod, float] | SignalFault] = field(default_factory=dict)
    scraped: set[Pod] = field(default_factory=set)
    silent: str | None = None


def read_round(server: Server, reading: ReadingRound) -> RoundResult:
    """Send all queries one after the other; end at once when the server is silent."""
    result = RoundResult()
    try:
        _read_metrics(server, reading, result)
        closed = []
        for question in (*reading.together, *reading.alone):
            if unclosed(question.query):
                result.answers[question.mark] = Answer(None, _UNCLOSED)
            elif question in reading.alone:
                result.answers[question.mark] = _ask_alone(server, question)
            else:
                closed.append(question)
        for batch in batches(closed):
            result.answers |= _ask_batch(server, batch)
    except ServerSilent as error:
        result.silent = str(error)
    return result


def _read_metrics(server: Server, reading: ReadingRound, result: RoundResult) -> None:
    if not reading.metrics:
        return
    result.scraped = {
        pod for pod, up in _by_pod(server.ask(server_series.SCRAPED)).items() if up > 0
    }
    for metric in reading.metrics:
        try:
            rows = server.ask(server_series.query_of(metric, reading.window_seconds))
        except QueryRejected as error:
            result.metrics[metric] = rejected(str(error))
        else:
            result.metrics[metric] = _by_pod(rows)


def _by_pod(rows: Sequence[Row]) -> dict[Pod, float]:
    values = {}
    for row in rows:
        labels, value = row.get("metric", {}), number_of(row)
        if value is not None and "namespace" in labels and "pod" in labels:
            values[labels["namespace"], labels["pod"]] = value
    return values


def _ask_batch(server: Server, batch: Sequence[Question]) -> dict[str, Answer]:
    if len(batch) == 1:
        return {batch[0].mark: _ask_alone(server, batch[0])}
    try:
        return answers_of(batch, server.ask(joined(batch)))
    except QueryRejected:
        half = len(batch) // 2
        return _ask_batch(server, batch[:half]) | _ask_batch(server, batch[half:])


def _ask_alone(server: Server, question: Question) -> Answer:
    """Return the answer to one query, which is a vector or a scalar.

    It is asked as a vector first: only the server can decide which of them it is.
    """
    forms = [question, Question(question.mark, question.query, _other(question))]
    errors = []
    for form in forms:
        try:
            return answers_of([form], server.ask(joined([form])))[form.mark]
        except QueryRejected as error:
            errors.append(str(error))
    is_scalar = "scalar" in errors[0].rsplit("got", 1)[-1]
    return Answer(None, rejected(errors[1] if is_scalar else errors[0]))


def _other(question: Question) -> Form:
    return "vector" if question.form == "scalar" else "scalar"


def summed(namespace: str, watched: Watched, metric: str, result: RoundResult) -> Answer:
    """Return a canonical metric of one model: the sum over its pods.

    Worked example: two ready replicas with 3 and 4 waiting: 7. One of them is not scraped: 3, which
    may raise the number of replicas and not lower it.
    """
    table = result.metrics.get(metric)
    if isinstance(table, SignalFault):
        return Answer(None, table)
    if table is None or not watched.ready:
        # No replica can be read: an unknown value lowers nothing, and is no fault.
        return Answer(None, None, is_whole=False)
    values = {pod: table[namespace, pod] for pod in watched.pods if (namespace, pod) in table}
    # A server may show a counter only after its first request: until then the value is 0.
    zero = {pod for pod in watched.ready if values and (namespace, pod) in result.scraped}
    missing = [pod for pod in watched.ready if pod not in values and pod not in zero]
    fault = _missing(namespace, watched, metric, result) if missing else None
    if not values:
        return Answer(None, fault, is_whole=False)
    total = sum(values.values())
    fault = value_fault(total) or fault
    return Answer(None if value_fault(total) else total, fault, is_whole=not missing)


def _missing(namespace: str, watched: Watched, metric: str, result: RoundResult) -> SignalFault:
    if all((namespace, pod) in result.scraped for pod in watched.ready):
        text = (
            f"no replica exports {metric} under a name of vLLM, Triton, MLServer or"
            " modelfleet's own server; use a query instead"
        )
    else:
        text = (
            f"{metric} is missing for some ready replicas: Prometheus must scrape them with the"
            " labels namespace and pod"
        )
    return SignalFault(Reason.NO_SERIES, text)
