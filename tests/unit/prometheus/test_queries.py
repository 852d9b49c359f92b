"""Queries joined and answers told apart: no query reaches another, every value is judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.api.reasons import Reason
from modelfleet.catalog.signals import server_series
from modelfleet.prometheus.queries import (
    LABEL,
    MAX_CHARACTERS,
    MAX_ERROR_CHARACTERS,
    MAX_QUERIES,
    Question,
    answers_of,
    batches,
    joined,
    rejected,
    unclosed,
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(rate(x{a='(', b=\"]\"}[5m]))", False),
        ("sum(up", True),
        ("sum(up))", True),
        ("up) or (up", True),
        ("up{a='", True),
        ("up # )) \" '", False),
        ("up # )\n)", True),
        ("up # )\r)", True),
        (r"up{a='\')'}", False),
        ("up{a=`\\`}", False),
        ("up{a=`\\`})", True),
        ("up{a='\n'}", True),
        ("([)]", True),
        ('vector(1)), "modelfleet_signal", "x", "", "") or label_replace(topk(2,vector(9)', True),
    ],
)
def test_brackets_must_close_as_promql_reads_them(query, expected):
    assert unclosed(query) is expected


@given(st.text(alphabet="ab()[]{}'\"`#\\\n\r ,", max_size=30))
def test_what_closes_is_balanced_for_an_independent_reader(query):
    if unclosed(query):
        return
    depth, quote, escaped, comment = 0, "", False, False
    for character in f"({query}\n)":
        if comment:
            comment = character not in "\r\n"
        elif quote:
            if escaped:
                escaped = False
            elif character == "\\" and quote != "`":
                escaped = True
            elif character == quote:
                quote = ""
        elif character in "'\"`":
            quote = character
        elif character == "#":
            comment = True
        else:
            depth += (character in "([{") - (character in ")]}")
            assert depth >= 0
    assert (depth, quote, comment) == (0, "", False)


def test_each_series_carries_its_mark_and_comments_end():
    text = joined([Question("m1", "up # all"), Question("m2", "1 + 1", "scalar")])
    assert text == (
        f'label_replace(topk(2,\nup # all\n), "{LABEL}", "m1", "", "") or\n'
        f'label_replace(topk(2,\nvector(\n1 + 1\n)\n), "{LABEL}", "m2", "", "")'
    )


@given(st.lists(st.integers(1, 2048), max_size=150))
def test_batches_hold_all_within_the_bounds(lengths):
    questions = [Question(str(i), "x" * length) for i, length in enumerate(lengths)]
    found = batches(questions)
    assert [q for batch in found for q in batch] == questions
    assert all(1 <= len(batch) <= MAX_QUERIES for batch in found)
    assert all(sum(len(q.query) for q in batch) <= MAX_CHARACTERS for batch in found)


def row(mark: str, value: object) -> dict[str, object]:
    return {"metric": {LABEL: mark, "job": "x"}, "value": [0, value]}


@pytest.mark.parametrize(
    ("rows", "value", "reason"),
    [
        ([row("m", "3.5")], 3.5, None),
        ([row("m", "0")], 0.0, None),
        ([], None, Reason.NO_SERIES),
        ([row("other", "1")], None, Reason.NO_SERIES),
        ([row("m", "1"), row("m", "2")], None, Reason.MANY_SERIES),
        ([row("m", "NaN")], None, Reason.WRONG_VALUE),
        ([row("m", "+Inf")], None, Reason.WRONG_VALUE),
        ([row("m", "-1")], None, Reason.WRONG_VALUE),
        ([row("m", "1e300")], None, Reason.WRONG_VALUE),
        ([row("m", "x")], None, Reason.WRONG_VALUE),
        ([{"metric": {LABEL: "m"}, "histogram": [0, {}]}], None, Reason.WRONG_VALUE),
    ],
    ids=[
        "good",
        "zero",
        "empty",
        "foreign",
        "several",
        "nan",
        "inf",
        "negative",
        "absurd",
        "text",
        "histogram",
    ],
)
def test_every_value_is_judged(rows, value, reason):
    answer = answers_of([Question("m", "up")], rows)["m"]
    assert answer.value == value
    assert (answer.fault and answer.fault.reason) == reason
    if reason is Reason.MANY_SERIES:
        assert "wrap it in sum()" in answer.fault.message


def test_words_of_the_server_are_cut_and_cleaned():
    fault = rejected('invalid parameter "query": 3:7: parse error: \x1b[31m\n  bad' + "x" * 9999)
    words = fault.message.removeprefix("Prometheus refuses the query: ")
    assert words.startswith("parse error: [31m bad")
    assert len(words) <= MAX_ERROR_CHARACTERS
    assert words.isprintable()


@pytest.mark.parametrize("metric", sorted(server_series.SERIES))
def test_canonical_queries_are_whole_and_by_pod(metric):
    query = server_series.query_of(metric, 60)
    assert not unclosed(query)
    assert server_series.WINDOW not in query
    assert "by (namespace, pod)" in query


def test_canonical_metrics_know_each_server():
    for name in ("QueueDepth", "Concurrency", "Requests"):
        text = server_series.query_of(name, 60)
        for word in ("vllm:", "nv_inference_", "modelfleet_server_"):
            assert word in text
    assert "model_infer_" in server_series.query_of("Requests", 60)
