"""`modelfleet bench autoscale` and `modelfleet simulate` from the command line."""

import json

import pytest

from modelfleet.cli.bench import bench
from modelfleet.cli.simulate import simulate

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


def test_bench_writes_json_and_picture(trace, tmp_path, capsys):
    where = ["--json", str(tmp_path / "o.json"), "--plot", str(tmp_path / "o.png")]
    wanted = ["--policies", "static,always-70%", "--seeds", "2"]
    assert bench(["autoscale", "--trace", str(trace), *SERVICE, *wanted, *where]) == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert [p["name"] for p in found["policies"]] == ["clairvoyant", "static", "always-70%"]
    assert (found["skip_seconds"], found["seeds"]) == (225, [1, 2])
    assert (tmp_path / "o.png").stat().st_size > 1000
    assert "static" in capsys.readouterr().out


def test_policies_side_by_side_say_the_same(trace, tmp_path):
    """Also that peers can be sent to another process."""
    found = []
    for jobs in ("1", "2"):
        options = ["--policies", "static,kubeai,modelfleet", "--seeds", "1", "--jobs", jobs]
        options += ["--json", str(tmp_path / "o.json")]
        assert bench(["autoscale", "--trace", str(trace), *SERVICE, *options]) == 0
        found.append(json.loads((tmp_path / "o.json").read_text())["policies"])
    assert found[0] == found[1]


def test_floor_holds_for_our_policy_as_for_the_peers(trace, tmp_path):
    options = ["--policies", "modelfleet", "--seeds", "1", "--least-replicas", "9"]
    options += ["--json", str(tmp_path / "o.json")]
    assert bench(["autoscale", "--trace", str(trace), *SERVICE, *options]) == 0
    ours = json.loads((tmp_path / "o.json").read_text())["policies"][-1]
    assert ours["name"] == "modelfleet"
    assert ours["replica_hours"] >= 9 * (1800 - 225 - 60) / 3600


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
        (["--trace", "TRACE", "--jobs", "0"], "--jobs must be at least 1"),
    ],
)
def test_bench_says_what_is_wrong(trace, capsys, arguments, message):
    given = [str(trace) if a == "TRACE" else a for a in arguments]
    assert bench(["autoscale", *SERVICE, *given]) == 2
    assert message in capsys.readouterr().err


def test_bench_needs_its_second_word(capsys):
    assert bench([]) == 2
    assert "bench autoscale" in capsys.readouterr().err


def test_simulate_shows_what_modelfleet_would_have_done(trace, tmp_path, capsys):
    where = ["--json", str(tmp_path / "o.json"), "--plot", str(tmp_path / "o.png")]
    assert simulate(["--trace", str(trace), *SERVICE, *where]) == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert len(found["replicas_by_minute"]) == 30
    assert max(found["replicas_by_minute"]) >= 2
    assert "replica-hours" in capsys.readouterr().out
