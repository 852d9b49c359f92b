"""The history of a model's decisions: from a Prometheus to a picture."""

import argparse

import numpy as np
import pytest

from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.decision_history import REASONS, Decisions, decisions
from modelfleet.cli.support.decision_picture import draw_picture
from modelfleet.cli.support.prometheus_series import TimeSpan, server_at, span_until_now
from modelfleet.cli.verbs import explain as command
from tests.doubles.prometheus_answers import metric_of, prometheus

SPAN = TimeSpan(1_800_000_000, 1_800_000_000 + 60 * 99, 60)
USUAL = {
    "load": 5.0,
    "start": 11.0,
    "keep": 11.0,
    "floor": 4.0,
    "cap": 40.0,
    "backlog": 0.0,
    "granted": 3.0,
    "ready": 3.0,
    "least": 1.0,
    "most": 10.0,
    "slots": 4.0,
    "aim": 0.009,
    "risk": 0.009,
}


def told(**change: float) -> Decisions:
    columns = {name: np.full(SPAN.size, value) for name, value in {**USUAL, **change}.items()}
    return Decisions("team-a/digits", SPAN, columns)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "the forecast to start"),
        ({"start": 4.0, "granted": 1.0, "keep": 4.0}, "a share of the recent peak"),
        ({"start": 12.0, "cap": 12.0}, "at most the day's highest"),
        ({"backlog": 12.0}, "requests that wait"),
        ({"keep": 16.0, "granted": 4.0}, "the forecast to keep"),
        ({"granted": 7.0}, "scale-down wait, signal or by hand"),
        ({"granted": 5.0, "least": 5.0}, "minReplicas"),
        ({"granted": 2.0, "most": 2.0}, "maxReplicas"),
    ],
)
def test_binding_term(change, reason):
    found = told(**change).bound()
    assert {REASONS[int(number)] for number in found} == {reason}


def test_unknown_moments_have_no_reason():
    assert np.isnan(told(granted=float("nan")).bound()).all()
    assert np.isnan(told(start=float("nan"), backlog=float("nan")).bound()).all()


def answers(query: str):
    by_metric = {
        "modelfleet_scaling_slots": ("term", ("load", "start", "keep", "floor", "cap", "backlog")),
        "modelfleet_scaling_replicas": ("state", ("granted", "ready", "least", "most")),
    }
    single = {
        "modelfleet_scaling_aim_ratio": "aim",
        "modelfleet_scaling_risk_ratio": "risk",
        "modelfleet_model_replica_slots": "slots",
    }
    metric = metric_of(query)
    if metric in single:
        return [({}, lambda _: USUAL[single[metric]])]
    label, names = by_metric[metric]
    return [({label: name}, lambda _, name=name: USUAL[name]) for name in names]


def test_all_columns_are_read_with_few_queries():
    with prometheus(answers) as server:
        found = decisions(server_at(server.url), "team-a", "digits", SPAN)
        queries = [query for _, query in server.asked]
    assert len(queries) == 5
    for name, value in USUAL.items():
        assert np.array_equal(found.columns[name], np.full(SPAN.size, value), equal_nan=True), name
    assert 'exported_namespace="team-a"' in queries[0]
    assert 'namespace="team-a",exported_namespace=""' in queries[0]


def test_older_operator_without_replicas_gives_what_there_is(tmp_path):
    def few(query: str):
        return answers(query) if "scaling_slots" in query else []

    with prometheus(few) as server:
        found = decisions(server_at(server.url), "team-a", "digits", SPAN)
    assert np.isnan(found.columns["granted"]).all()
    draw_picture(found, tmp_path / "o.png")
    assert (tmp_path / "o.png").stat().st_size > 10_000


def test_model_that_nobody_scraped_is_said():
    with prometheus(lambda _: []) as server, pytest.raises(UsageError, match="must scrape the op"):
        decisions(server_at(server.url), "team-a", "digits", SPAN)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_picture_of_a_changing_model(tmp_path, ending):
    found = told()
    found.columns["granted"][50:] = 7
    found.columns["load"][20:30] = np.nan
    found.columns["risk"][60:] = np.nan
    path = tmp_path / f"o.{ending}"
    draw_picture(found, path)
    assert path.stat().st_size > 10_000
    if ending == "svg":
        text = path.read_text()
        for words in ("team-a/digits", "busy request slots", "replicas", "time (UTC)", REASONS[0]):
            assert words in text


def chosen(path, url, hours=1.0):
    return argparse.Namespace(prometheus=url, hours=hours, plot=path, name="digits")


def test_explain_draws(tmp_path):
    with prometheus(answers) as server:
        command.write_picture(chosen(tmp_path / "o.png", server.url), "team-a")
    assert (tmp_path / "o.png").stat().st_size > 10_000


def test_without_a_prometheus_it_is_said_what_is_needed(tmp_path):
    with pytest.raises(UsageError, match="--prometheus URL, or set MODELFLEET_PROMETHEUS_URL"):
        command.write_picture(chosen(tmp_path / "o.png", None), "team-a")
    with pytest.raises(UsageError, match="--hours"):
        command.write_picture(chosen(tmp_path / "o.png", "http://x", hours=0), "team-a")


def test_moments_are_multiples_of_the_step():
    span = span_until_now(3600, 60, clock=lambda: 1_000_030.0)
    assert (span.end, span.begin, span.size) == (1_000_020, 1_000_020 - 59 * 60, 60)


def test_metrics_are_those_of_the_operator():
    from modelfleet.cli.support import decision_history as module
    from modelfleet.telemetry import metrics

    exposed = {one._name for one in metrics.OF_MODELS}
    assert set(module._SINGLE.values()) <= exposed
    assert {"modelfleet_scaling_slots", "modelfleet_scaling_replicas"} <= exposed


def test_token_of_the_environment_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("MODELFLEET_PROMETHEUS_TOKEN_FILE", str(tmp_path / "absent"))
    with prometheus(answers) as server, pytest.raises(UsageError, match="no token for Prometheus"):
        decisions(server_at(server.url), "team-a", "digits", SPAN)
