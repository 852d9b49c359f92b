"""Each command runs with its extra alone: a virtual environment of a user has nothing else."""

import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

GUARDED = """
import importlib.abc, importlib.metadata, re, sys
allowed = set(sys.argv[1].split(","))
owners = importlib.metadata.packages_distributions()

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        names = {re.sub("[-_.]+", "-", n).lower() for n in owners.get(name.split(".")[0], ())}
        if names and not names & allowed:
            raise ModuleNotFoundError(f"No module named '{name}' (not of the extra)", name=name)

sys.meta_path.insert(0, Refusing())
"""
EXPLAIN = """
from datetime import UTC, datetime
from kubernetes import client, config
from modelfleet.cli.support import prometheus_series
from modelfleet.cli.verbs import explain
work = {"name": "work", "start": "0 8 * * *", "end": "0 18 * * *", "timezone": "Europe/Berlin"}
spec = {"scaling": {"schedules": [{**work, "minReplicas": 2}]}}
scaling = {"want": 2, "granted": 2, "ready": 2}
model = {"metadata": {"namespace": "a", "name": "b"}, "spec": spec, "status": {"scaling": scaling}}
assert "2 to 10 allowed" in explain.lines(model, datetime(2026, 3, 2, 12, tzinfo=UTC))[1]
prometheus_series.server_at("http://127.0.0.1:1")
"""
EXPLAIN_PLOT = """
import numpy as np
from modelfleet.cli.support import decision_history, decision_picture, prometheus_series
terms = (*decision_history._TERMS, *decision_history._STATES, *decision_history._SINGLE)
columns = dict.fromkeys(terms, np.ones(9))
made = decision_history.Decisions("a/b", prometheus_series.TimeSpan(0, 80, 10), columns)
decision_picture.draw_picture(made, sys.argv[2] + "/o.png")
"""
RUN = """
from pathlib import Path
from modelfleet.cli.verbs.bench import bench
from modelfleet.cli.verbs.simulate import simulate
from modelfleet.cli.support import trace_from_prometheus
trace = Path(sys.argv[2], "t.csv")
trace.write_text("t_seconds,requests_per_second\\n" + "".join(f"{5 * n},2\\n" for n in range(60)))
service = "--startup-seconds 5 --wait-seconds 2 --slots 4 --service-seconds 1".split()
given = ["--trace", str(trace), *service, *sys.argv[3:]]
assert bench(["autoscale", *given, "--policies", "static,keda-rate", "--seeds", "1"]) == 0
if "--plot" not in given:
    assert simulate(given) == 0
"""


def closure(wanted: Iterable[str], found: set[str]) -> set[str]:
    """Canonical names of all distributions that a list of requirements brings."""
    for line in wanted:
        need = Requirement(line)
        name = canonicalize_name(need.name)
        for extra in ("", *need.extras):
            key = f"{name}[{extra}]" if extra else name
            is_meant = need.marker is None or need.marker.evaluate({"extra": ""})
            if is_meant and key not in found:
                found.add(key)
                closure(_of(name, extra), found)
    return found


def _of(name: str, extra: str) -> Iterable[str]:
    for line in importlib.metadata.requires(name) or ():
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": extra}):
            need.marker = None
            yield str(need)


@pytest.mark.long
@pytest.mark.parametrize(
    ("extras", "code", "options"),
    [
        ("cli", EXPLAIN, ()),
        ("cli,plot", EXPLAIN_PLOT, ()),
        ("simulate", RUN, ()),
        ("simulate,plot", RUN, ("--plot", "o.png")),
    ],
)
def test_command_needs_no_more_than_its_extra(tmp_path, extras, code, options):
    lines = [*PROJECT["dependencies"]]
    for extra in extras.split(","):
        lines += PROJECT["optional-dependencies"][extra]
    allowed = {"modelfleet", *closure(lines, set())}
    given = [sys.executable, "-c", GUARDED + code, ",".join(sorted(allowed)), str(tmp_path)]
    done = subprocess.run(
        [*given, *options], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_time_zones_come_with_the_schedules():
    """Windows and slim images have no time zones of their own."""
    for extra in ("cli", "operator"):
        names = {Requirement(r).name for r in PROJECT["optional-dependencies"][extra]}
        assert {"cronsim", "tzdata"} <= names
