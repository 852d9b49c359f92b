"""Judges one answer: is it the correct one of a version that was allowed? Pure.

Called by ``generator`` for every request. Whatever is not proved correct is a failure with a
reason; there is no third outcome. It must never forgive: no status, no error, no missing field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Question:
    """One prepared request: its body, and the labels expected of each kind of model."""

    body: bytes
    labels: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``error`` is set where the exchange did not end as HTTP says."""

    status: int
    body: bytes
    error: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is empty for a correct answer; ``version`` is what the answer named."""

    version: str
    reason: str
    detail: str = ""


def judge(answer: Answer, question: Question, allowed: Mapping[str, str]) -> Verdict:
    """Judge ``answer``; ``allowed`` maps each version that may answer to its kind of labels."""
    if answer.error:
        return Verdict("", "broken", answer.error)
    if answer.status != HTTPStatus.OK:
        return Verdict("", f"status {answer.status}", excerpt(answer.body))
    try:
        version, labels = read(answer.body)
    except (ValueError, TypeError, KeyError) as error:
        return Verdict("", "not an answer", f"{error}: {excerpt(answer.body)}")
    reason, detail = _judge_content(version, labels, question, allowed)
    return Verdict(version, reason, detail)


def _judge_content(
    version: str, labels: Sequence[int], question: Question, allowed: Mapping[str, str]
) -> tuple[str, str]:
    kind = allowed.get(version)
    if kind is None:
        names = ", ".join(sorted(allowed)) or "none"
        return "version not allowed", f"{version}; allowed: {names}"
    expected = question.labels.get(kind)
    if expected is None:
        return "no expectation", f"no labels '{kind}' were prepared"
    if list(labels) != list(expected):
        return "wrong labels", _difference(labels, expected)
    return "", ""


def read(body: bytes) -> tuple[str, Sequence[int]]:
    """Version and labels of an answer; raises ValueError, TypeError or KeyError."""
    value = orjson.loads(body)
    version = value["model_version"]
    if not isinstance(version, str):
        raise TypeError("model_version must be a string")
    for output in value["outputs"]:
        if output["name"] == "label":
            labels: Sequence[int] = output["data"]
            if not isinstance(labels, list) or output["shape"] != [len(labels)]:
                raise ValueError("label: data and shape do not fit")
            return version, labels
    raise KeyError("outputs: label")


def excerpt(body: bytes) -> str:
    """The beginning of a body, fit for one line of a report."""
    return json.dumps(body[:EXCERPT].decode(errors="replace"))[1:-1]


def _difference(labels: Sequence[int], expected: Sequence[int]) -> str:
    if len(labels) != len(expected):
        return f"{len(labels)} labels instead of {len(expected)}"
    wrong = [n for n, pair in enumerate(zip(labels, expected, strict=True)) if pair[0] != pair[1]]
    first = wrong[0]
    return f"{len(wrong)} differ, first at {first}: {labels[first]} not {expected[first]}"
