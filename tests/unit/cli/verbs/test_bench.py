"""`modelfleet bench autoscale` and `modelfleet simulate` from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelfleet.cli.verbs.bench import bench
from modelfleet.cli.verbs.simulate import simulate
from tests import speed
from tests.doubles.prometheus_answers import replayed

SERVICE = [
    "--startup-seconds",
    "20",
    "--wait-seconds",
    "2",
    "--slots",
    "4",
    "--service-seconds",
    "1",
]


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"{5 * n},{2 + 6 * (n % 60 > 30)}\n" for n in range(360))
    path.write_text("t_seconds,requests_per_second\n" + rows)
    return path


@pytest.fixture
def fleet(tmp_path):
    path = tmp_path / "f.csv"
    rows = "".join(f"{300 * n + 7 * m},m{m},0.{m + 1}\n" for n in range(8) for m in range(3))
    path.write_text("t_seconds,model,execution_seconds\n" + rows)
    return path


@pytest.mark.long
def test_bench_writes_json_and_picture(trace, tmp_path, capsys):
    where = ["--json", str(tmp_path / "o.json"), "--plot", str(tmp_path / "o.png")]
    wanted = ["--policies", "static,always-70%", "--seeds", "2"]
    assert bench(["autoscale", "--trace", str(trace), *SERVICE, *wanted, *where]) == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert [p["name"] for p in found["policies"]] == ["clairvoyant", "static", "always-70%"]
    assert (found["skip_seconds"], found["seeds"]) == (225, [1, 2])
    assert (tmp_path / "o.png").stat().st_size > 1000
    assert "static" in capsys.readouterr().out


@pytest.mark.long
def test_policies_side_by_side_say_the_same(trace, tmp_path):
    """Also that peers can be sent to another process."""
    found = []
    for jobs in ("1", "2"):
        options = ["--policies", "static,kubeai,modelfleet", "--seeds", "1", "--jobs", jobs]
        options += ["--json", str(tmp_path / "o.json")]
        assert bench(["autoscale", "--trace", str(trace), *SERVICE, *options]) == 0
        found.append(json.loads((tmp_path / "o.json").read_text())["policies"])
    assert found[0] == found[1]


@pytest.mark.long
def test_floor_holds_for_our_policy_as_for_the_peers(trace, tmp_path):
    options = ["--policies", "modelfleet", "--seeds", "1", "--least-replicas", "9"]
    options += ["--json", str(tmp_path / "o.json")]
    assert bench(["autoscale", "--trace", str(trace), *SERVICE, *options]) == 0
    ours = json.loads((tmp_path / "o.json").read_text())["policies"][-1]
    assert ours["name"] == "modelfleet"
    assert ours["replica_hours"] >= 9 * (1800 - 225 - 60) / 3600


@pytest.mark.long
def test_bench_of_a_fleet(fleet, tmp_path):
    where = ["--json", str(tmp_path / "o.json"), "--seeds", "1", "--aim-percent", "60"]
    wanted = ["--policies", "keda-rate"]
    assert bench(["autoscale", "--fleet", str(fleet), *SERVICE, *wanted, *where]) == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["models"] == 3
    assert found["least_replicas"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --trace or --fleet"),
        (["--trace", "none.csv"], "no such file"),
        (["--trace", "x", "--policies", "best"], "no policy 'best'; there are modelfleet, static"),
        (["--trace", "TRACE", "--slots=0"], "slots must be at least 1"),
        (["--trace", "TRACE", "--skip-days", "3"], "leaves nothing to score"),
        (["--trace", "TRACE", "--seeds", "0"], "--seeds must be at least 1"),
        (["--trace", "TRACE", "--seeds", "-3"], "--seeds must be at least 1: -3"),
        (["--trace", "TRACE", "--jobs", "0"], "--jobs must be at least 1"),
        (["--trace", "TRACE", "--seeds", "999999999"], "999999999 draws (--seeds)"),
        (["--fleet", "FLEET", "--rate-times", "2"], "--rate-times goes with --trace"),
        (["--fleet", "FLEET", "--least-replicas", "101"], "--least-replicas must be from 0 to 100"),
    ],
)
def test_bench_says_what_is_wrong(trace, fleet, capsys, arguments, message):
    given = [{"TRACE": str(trace), "FLEET": str(fleet)}.get(a, a) for a in arguments]
    assert bench(["autoscale", *SERVICE, *given]) == 2
    assert message in capsys.readouterr().err


BOTH = [
    *((["--aim-percent", x], "--aim-percent must be above 0 and") for x in ("0", "100", "nan")),
    *(
        (["--skip-days", x], f"--skip-days must be 0 or more and finite: {x}")
        for x in ("-1", "nan")
    ),
    *(
        (["--rate-times", x], f"--rate-times must be above 0 and finite: {x}")
        for x in ("-1", "inf")
    ),
    *((["--least-replicas", x], "--least-replicas must be from 0 to 1000") for x in ("-1", "1001")),
    (["--wait-seconds", "nan"], "--wait-seconds must be 0 or more and finite: nan"),
    (["--service-seconds", "-1"], "--service-seconds must be above 0 and finite: -1"),
    (["--drift", "2"], "--drift must be in [0, 1): 2"),
    (["--slots", "1000000"], "--slots 1,000,000: at most"),
    (["--rate-times", "1e9"], "requests do not fit"),
    (["--json", "none/o.json"], "--json none/o.json: there is no folder"),
    (["--json", "."], "--json .: cannot be written"),
    (["--plot", "o.xyz"], "its name must end in one of"),
]


@pytest.mark.parametrize("verb", ["bench", "simulate"])
@pytest.mark.parametrize(("arguments", "message"), BOTH)
def test_both_verbs_say_what_is_wrong(trace, capsys, verb, arguments, message):
    given = ["--trace", str(trace), *SERVICE, *arguments]
    assert (simulate(given) if verb == "simulate" else bench(["autoscale", *given])) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1, "before any work"


def test_one_huge_rate_is_refused(trace, capsys):
    trace.write_text(trace.read_text() + "1800,1e12\n")
    assert simulate(["--trace", str(trace), *SERVICE]) == 2
    assert f"{trace}: 5,000,000,00" in (told := capsys.readouterr().err)
    assert "requests do not fit; at most 83,333,333 do (4 GB); scale it down" in told


def test_exhausted_memory_ends_in_one_line(trace, capsys, monkeypatch):
    def exhaust(*_, **__):
        raise MemoryError

    monkeypatch.setattr("modelfleet.simulate.replay.draw_arrivals", exhaust)
    assert simulate(["--trace", str(trace), *SERVICE]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("modelfleet simulate: out of memory; take a shorter piece")


def test_all_policies_have_a_name():
    from modelfleet.cli.verbs.bench import _policies

    assert len(_policies("all")) == len(_policies(None)) == 9


def test_simulate_keeps_what_the_api_keeps(trace, monkeypatch):
    """The API's minReplicas is 1 by default."""
    asked: list[int] = []

    def note(*given: object) -> None:
        asked.append(given[-1])
        raise ValueError

    monkeypatch.setattr("modelfleet.simulate.replay.replay", note)
    for options in ((), ("--least-replicas", "0")):
        assert simulate(["--trace", str(trace), *SERVICE, *options]) == 2
    assert asked == [1, 0]


def test_simulate_says_when_its_cap_was_too_low(trace, monkeypatch, capsys):
    monkeypatch.setattr("modelfleet.simulate.replay.replay", lambda *_: replayed(1000))
    assert simulate(["--trace", str(trace), *SERVICE]) == 0
    assert "reached the 1,000 replicas that are simulated at most" in capsys.readouterr().err


def test_what_is_done_in_silence_is_said(tmp_path, monkeypatch, capsys):
    """History, gaps of the collection, moments within a row."""
    monkeypatch.setattr("modelfleet.simulate.replay.replay", lambda *_: replayed(1))
    path = tmp_path / "t.csv"
    rows = "".join(f"{60 * n},{0 if 300 <= n < 315 else 2}\n" for n in range(480))
    path.write_text("t_seconds,requests_per_second\n" + rows)
    assert simulate(["--trace", str(path), *SERVICE]) == 0
    told = capsys.readouterr().err
    assert "the first 60 min of 480 min are history and not scored (7,200 of 55,800" in told
    assert "15 silent minutes look like gaps" in told
    assert "a row is 60 s long" in told


@pytest.mark.long
def test_service_time_of_the_file_wins_and_that_is_said(fleet, tmp_path, capsys):
    where = ["--policies", "always-70%", "--seeds", "1"]
    assert bench(["autoscale", "--fleet", str(fleet), *SERVICE, *where]) == 0
    assert "--service-seconds 1 is not used" in capsys.readouterr().err


def test_bench_needs_its_second_word(capsys):
    assert bench([]) == 2
    assert "bench autoscale" in capsys.readouterr().err


@pytest.mark.long
def test_simulate_shows_what_modelfleet_would_have_done(trace, tmp_path, capsys):
    where = ["--json", str(tmp_path / "o.json"), "--plot", str(tmp_path / "o.png")]
    assert simulate(["--trace", str(trace), *SERVICE, *where]) == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert len(found["replicas_by_minute"]) == 30
    assert max(found["replicas_by_minute"]) >= 2
    assert "replica-hours" in capsys.readouterr().out


def ran_by(group: int) -> list[int]:
    """Processes of a group, ended ones that nobody has asked for apart."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of, *_ = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(of) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.long
@pytest.mark.parametrize("verb", ["bench autoscale", "simulate"])
def test_interrupted_run_says_so_and_leaves_nobody(tmp_path, verb):
    path = tmp_path / "long.csv"
    path.write_text("t_seconds,requests_per_second\n" + "".join(
        f"{5 * n},{20 + n % 7}\n" for n in range(40_000)))  # fmt: skip
    options = ["--jobs", "2", "--seeds", "1"] if verb.startswith("bench") else []
    # Who starts the tests in the background has Ctrl-C ignored, and so would have the command.
    heeds = ["env", "--default-signal=INT", sys.executable]
    given = [*heeds, "-m", "modelfleet", *verb.split(), "--trace", str(path), *SERVICE]
    began = subprocess.Popen(
        [*given, *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": "operator"},
    )  # fmt: skip
    until = time.monotonic() + 60
    wanted = 4 if options else 1
    while len(ran_by(began.pid)) < wanted and time.monotonic() < until:
        time.sleep(0.05)
    # What it says before it runs; earlier it is still being loaded, however long that takes.
    assert began.stderr.readline().startswith(f"modelfleet {verb}: ")
    time.sleep(3)
    os.killpg(began.pid, signal.SIGINT)
    _, told = began.communicate(timeout=speed.patience(30))
    assert began.returncode == 130
    assert told.splitlines()[-1] == f"modelfleet {verb}: interrupted"
    assert "Traceback" not in told
    until = time.monotonic() + 5
    while ran_by(began.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert ran_by(began.pid) == []
