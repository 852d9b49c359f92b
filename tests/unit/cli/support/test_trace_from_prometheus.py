"""`modelfleet simulate` with the reader's own traffic from a Prometheus."""

import json

import numpy as np
import pytest

from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.trace_from_prometheus import traffic
from modelfleet.cli.verbs.simulate import simulate
from tests.doubles.prometheus_answers import prometheus, replayed

SERVICE = [
    *("--startup-seconds", "20", "--wait-seconds", "2"),
    *("--slots", "4", "--service-seconds", "1"),
]
QUERY = 'sum(rate(http_requests_total{service="digits"}[1m]))'


def wave(at: int) -> float:
    return 6.0 + 4.0 * np.sin(at / 600)


def one(of=wave):
    return lambda _query: [({}, of)]


@pytest.mark.long
def test_report_is_made_of_what_the_query_gives(tmp_path, capsys):
    where = ["--json", str(tmp_path / "o.json"), "--plot", str(tmp_path / "o.png")]
    with prometheus(one()) as server:
        options = ["--prometheus", server.url, "--query", QUERY, "--days", "0.1", *where]
        assert simulate([*options, *SERVICE]) == 0
        assert server.asked[0] == ("/api/v1/query_range", QUERY)
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["requests"] == pytest.approx(0.1 * 86_400 * 6 * 7 / 8, rel=0.1)
    assert (tmp_path / "o.png").stat().st_size > 1000
    told = capsys.readouterr()
    assert "0.10 days of traffic" in told.err
    assert "with modelfleet" in told.out


def test_query_is_no_markup(monkeypatch, capsys):
    monkeypatch.setattr("modelfleet.simulate.replay.replay", lambda *_: replayed(1))
    query = 'sum(rate(x{a=~"[a-z]"}[1m])) # [/]'
    with prometheus(one()) as server:
        options = ["--prometheus", server.url, "--query", query, "--days", "0.1"]
        assert simulate([*options, *SERVICE]) == 0
    assert '"[a-z]"}[1m])) # [/]' in " ".join(capsys.readouterr().out.split())


def test_requests_of_a_step_stay_its_own_and_are_rough_within():
    with prometheus(one(lambda _: 20.0)) as server:
        found = traffic(server.url, QUERY, 0.5, 60).trace
    by_step = found.binned(60)
    assert (found.bin_seconds, len(by_step)) == (5.0, 720)
    assert (by_step == 1200).all()
    assert found.counts.std() > 1.2 * 100**0.5, "rougher than chance"


def test_steps_that_are_no_bins_are_drawn_from_their_mean():
    with prometheus(one(lambda _: 0.4)) as server:
        found = traffic(server.url, QUERY, 0.01, 7).trace
    assert found.is_mean
    assert found.counts == pytest.approx(2.8)


def test_sixty_days_are_asked_in_parts_that_a_server_answers():
    with prometheus(one(lambda _: 1.0)) as server:
        found = traffic(server.url, QUERY, 30, 60)
        assert len(server.asked) == 5
    assert found.trace.seconds == 30 * 86_400


def test_time_that_nobody_knows_is_said():
    begins: list[int] = []

    def holed(at: int) -> float | None:
        begins.append(at)
        # Never at an end of what is asked for: there it would be cut off, not unknown.
        return float("nan") if 1800 <= (at - begins[0]) % 3600 < 2160 else 5.0

    with prometheus(one(holed)) as server:
        told = traffic(server.url, QUERY, 1, 60).summary
    assert "10.0 % of the time is not known" in told


def test_time_before_the_first_value_is_no_traffic():
    begins: list[int] = []

    def late(at: int) -> float | None:
        begins.append(at)
        return 5.0 if at >= begins[0] + 43_200 else None

    with prometheus(one(late)) as server:
        found = traffic(server.url, QUERY, 1, 60)
    assert found.trace.seconds == pytest.approx(43_200, abs=120)
    assert "not known" not in found.summary


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda _: [], "gives nothing in the last 1 days"),
        (lambda _: None, "Prometheus refuses the query: 1:5: parse error"),
        (
            lambda _: [({"pod": str(n)}, wave) for n in range(5)],
            r"5 series \(\{pod=0\}, \{pod=1\}, \{pod=2\}, ...\); wrap it in sum",
        ),
        (one(lambda at: -1.0), "negative"),
        (one(lambda at: 1e300), "the query gives 1e.300; it must give requests per second"),
        (one(lambda at: 1.0 if at % 86_400 < 120 else None), "only [123] values"),
        (one(lambda at: float("nan")), "only 0 values"),
    ],
)
def test_what_is_wrong_is_said(answer, message):
    with prometheus(answer) as server, pytest.raises(UsageError, match=message):
        traffic(server.url, QUERY, 1, 60)


def test_forgotten_rate_is_said_before_memory_is_asked_for(capsys):
    with prometheus(one(lambda at: at / 10)) as server:
        given = ["--prometheus", server.url, "--query", "http_requests_total", "--days", "7"]
        assert simulate([*given, *SERVICE]) == 2
    told = capsys.readouterr().err
    assert "http_requests_total: " in told
    assert "looks like a counter: wrap it in rate(...)" in told
    assert "Traceback" not in told


def test_small_counter_is_a_question():
    begins: list[int] = []

    def counter(at: int) -> float:
        begins.append(at)
        return (at - begins[0]) / 1e4

    with prometheus(one(counter)) as server:
        assert "should the query be in rate(...)?" in traffic(server.url, QUERY, 1, 60).summary


def test_texture_within_a_step_is_said():
    with prometheus(one()) as server:
        told = [traffic(server.url, QUERY, 0.1, step).summary for step in (60, 7)]
    assert "within a step of 60 s they come as unevenly as in public traces" in told[0]
    assert "within a step of 7 s their moments are drawn by chance" in told[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "either --trace, or --prometheus with --query"),
        (["--trace", "x.csv", "--prometheus", "http://x"], "either --trace, or --prometheus"),
        (["--prometheus", "http://x"], "needs --query"),
        (["--trace", "x.csv", "--query", "up"], "--query goes with --prometheus"),
        (["--prometheus", "localhost:9090", "--query", "up"], "no address of a Prometheus"),
        (["--prometheus", "http://", "--query", "up"], "no address of a Prometheus"),
        (["--prometheus", "http://127.0.0.1:1", "--query", "up"], "does not answer"),
        (["--prometheus", "http://x", "--query", "up", "--days", "0"], "--days must be above 0"),
        (["--prometheus", "http://x", "--query", "up", "--step-seconds", "0"], "--step-seconds"),
    ],
)
def test_options_that_do_not_go(capsys, options, message):
    assert simulate([*options, *SERVICE]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told) < 250
