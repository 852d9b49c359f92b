"""Texts of queries and meanings of answers: many signals in one query, and back.

`prometheus.reading_round` uses them in its thread. Pure. The query of one user must never reach
into the query of another. Therefore brackets have to close, and the mark of a signal cannot be
guessed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelfleet.api.reasons import Reason
from modelfleet.facts.readings import SignalFault

LABEL = "modelfleet_signal"
MAX_QUERIES = 32
MAX_CHARACTERS = 32_768
MAX_ERROR_CHARACTERS = 300
MAX_VALUE = 1e15
Form = Literal["vector", "scalar"]
Row = Mapping[str, Any]

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_OURS = re.compile(r'invalid parameter "query": |\b\d+:\d+: ')
"""Parts of an error that are about the whole batch; a user does not have its lines."""


class QueryRejected(Exception):
    """The server runs and does not answer this query; the text gives the server's reason."""


class ServerSilent(Exception):
    """The server gives no usable answer, whatever the query."""


@dataclass(frozen=True, slots=True)
class Question:
    """One user's query; `mark` finds its series in the answer of a batch."""

    mark: str
    query: str
    form: Form = "vector"


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer for one signal. `is_whole`: from all replicas, so that it may lower a number."""

    value: float | None = None
    fault: SignalFault | None = None
    is_whole: bool = True
    form: Form = "vector"


def batches(questions: Sequence[Question]) -> list[tuple[Question, ...]]:
    """Return as few batches as the bounds on a query allow, in the given order."""
    result: list[list[Question]] = []
    characters = 0
    for question in questions:
        length = len(question.query)
        if not result or len(result[-1]) >= MAX_QUERIES or characters + length > MAX_CHARACTERS:
            result.append([])
            characters = 0
        result[-1].append(question)
        characters += length
    return [tuple(batch) for batch in result]


def joined(batch: Sequence[Question]) -> str:
    """Return one query for all; each series carries the mark of its signal.

    It returns at most two series of each signal: enough to see that there is more than one. The
    line breaks end comments.
    """
    return " or\n".join(_marked(question) for question in batch)


def _marked(question: Question) -> str:
    inner = f"vector(\n{question.query}\n)" if question.form == "scalar" else question.query
    return f'label_replace(topk(2,\n{inner}\n), "{LABEL}", "{question.mark}", "", "")'


def unclosed(query: str) -> bool:
    """Return whether brackets or quotes do not close by themselves, as PromQL reads them."""
    expected: list[str] = []
    position = 0
    while position < len(query):
        character = query[position]
        if character in "\"'`":
            position = _after_string(query, position)
            if position < 0:
                return True
            continue
        if character == "#":
            rest = re.compile(r"[\r\n]").search(query, position)
            position = rest.end() if rest else len(query)
            continue
        if character in _CLOSERS:
            expected.append(_CLOSERS[character])
        elif character in _CLOSERS.values() and (not expected or expected.pop() != character):
            return True
        position += 1
    return bool(expected)


def _after_string(query: str, start: int) -> int:
    """Return the position after the string that begins at `start`; -1 when it does not end."""
    quote, position = query[start], start + 1
    while position < len(query):
        if query[position] == quote:
            return position + 1
        if query[position] == "\n" and quote != "`":
            return -1
        position += 2 if query[position] == "\\" and quote != "`" else 1
    return -1


def answers_of(batch: Sequence[Question], rows: Sequence[Row]) -> dict[str, Answer]:
    """Return the answers by mark."""
    by_mark: dict[str, list[Row]] = {question.mark: [] for question in batch}
    for row in rows:
        mark = row.get("metric", {}).get(LABEL)
        if mark in by_mark:
            by_mark[mark].append(row)
    return {q.mark: _answer(by_mark[q.mark], q.form) for q in batch}


def _answer(rows: Sequence[Row], form: Form) -> Answer:
    if not rows:
        text = "the query gives nothing now; use 'or vector(0)' where that means 0"
        return Answer(None, SignalFault(Reason.NO_SERIES, text))
    if len(rows) > 1:
        text = "the query gives more than one series; wrap it in sum(), max() or another aggregate"
        return Answer(None, SignalFault(Reason.MANY_SERIES, text))
    value = number_of(rows[0])
    fault = value_fault(value)
    return Answer(None if fault else value, fault, form=form)


def number_of(row: Row) -> float | None:
    """Return the value of a series; None without a plain number, as for a histogram."""
    try:
        return float(row["value"][1])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def value_fault(value: float | None) -> SignalFault | None:
    """Return why a value is of no use for scaling; None when it is of use."""
    text = None
    if value is None:
        text = "the query gives no plain number"
    elif math.isnan(value):
        text = "the value is NaN, as of a division by zero; add '> 0' to the divisor"
    elif math.isinf(value):
        text = "the value is infinite, as of a division by zero; add '> 0' to the divisor"
    elif value < 0:
        text = "the value is negative; use clamp_min(..., 0) where that means 0"
    elif value > MAX_VALUE:
        text = "the value is larger than 1e15; check the query"
    return None if text is None else SignalFault(Reason.WRONG_VALUE, text)


def rejected(reason: str) -> SignalFault:
    """Return the fault of a query that Prometheus refuses, with a readable part of the reason."""
    readable = "".join(c if c.isprintable() else " " for c in _OURS.sub("", reason))
    short = " ".join(readable.split())[:MAX_ERROR_CHARACTERS]
    return SignalFault(Reason.QUERY_FAILED, f"Prometheus refuses the query: {short}")
