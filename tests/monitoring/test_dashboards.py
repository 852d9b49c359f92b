"""Each query of dashboards and rules names what exists, and gives data where the metrics do."""

import json
import re

import pytest
import yaml

from tests.chart.dashboards import CHOICES
from tests.monitoring import exposition
from tests.monitoring.promtool import MONITORING, RULES, promtool

METRIC = re.compile(r"\b(?:modelfleet|process)_\w+|\w+:\w+:\w+")
VARIABLES = {"$__rate_interval": "5m", "$namespace": "team-a", "$model": "digits"}
OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")
FORMS = ("as exposed", "moved by the scraper")


def ground(query: str) -> str:
    """The query with a reader's choices."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


BOARDS = {path.name: json.loads(path.read_text()) for path in MONITORING.glob("dashboards/*.json")}
SHOWN = {
    f"{name}: {panel['title']}, {target['refId']}": ground(target["expr"])
    for name, board in sorted(BOARDS.items())
    for panel in board["panels"]
    for target in panel["targets"]
}
QUERIES = {**SHOWN, **{f"choice: {label}": ground(query) for label, query in CHOICES.items()}}
RULES_READ = [r for group in yaml.safe_load(RULES.read_text())["groups"] for r in group["rules"]]
RECORDED = {rule["record"] for rule in RULES_READ if "record" in rule}


def unknown(query: str) -> set[str]:
    """Metrics of a query that no page names, and that no rule records."""
    bare = re.sub(r'"[^"]*"', "", query)
    known = exposition.documented() | RECORDED
    known |= {"process_cpu_seconds_total", "process_resident_memory_bytes"}
    return {n for n in METRIC.findall(bare) if not {n, OF_HISTOGRAMS.sub("", n)} & known}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_dashboard_names_only_metrics_that_exist(query):
    assert METRIC.search(query)
    assert unknown(query) == set()


@pytest.mark.parametrize("rule", RULES_READ, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_metrics_that_exist(rule):
    assert METRIC.search(rule["expr"])
    assert unknown(rule["expr"]) == set()


@pytest.mark.parametrize("query", ["modelfleet_gone", "rate(model:modelfleet_gone:rate5m[5m])"])
def test_a_metric_that_does_not_exist_is_seen(query):
    assert unknown(query)


def scraped(form: str) -> list[dict[str, str]]:
    """All series of both processes, as a scraper stores them; counters grow."""
    found = []
    for process, kind, sample in exposition.samples():
        labels = {**sample.labels, "job": process, "instance": process}
        if form != FORMS[0] and "namespace" in labels:
            labels |= {"exported_namespace": labels["namespace"], "namespace": "modelfleet-system"}
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        values = "0+60x30" if kind in {"counter", "histogram"} else "1x30"
        found.append({"series": f"{sample.name}{{{text}}}", "values": values})
    return found


@pytest.mark.parametrize("form", FORMS)
def test_each_query_gives_data(form, tmp_path):
    """Prometheus itself parses and answers them: each has a series where all metrics are there."""
    asked = [
        {"expr": f"count({query}) > bool 0", "eval_time": "20m", "exp_samples": [ONE]}
        for query in QUERIES.values()
    ]
    test = {"interval": "1m", "input_series": scraped(form), "promql_expr_test": asked}
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [test]}))
    code, said = promtool("test", "rules", file)
    assert code == 0, said


ONE = {"labels": "{}", "value": 1}


def test_a_query_without_data_is_seen(tmp_path):
    asked = {"expr": "count(modelfleet_models) > bool 0", "eval_time": "1m", "exp_samples": [ONE]}
    test = {"interval": "1m", "input_series": [], "promql_expr_test": [asked]}
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"tests": [test]}))
    assert promtool("test", "rules", file)[0] != 0


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_a_dashboard_is_whole(board):
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${source}"}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
    used = set(re.findall(r"\$(\w+)", json.dumps([p["targets"] for p in board["panels"]])))
    chosen = {variable["name"] for variable in board["templating"]["list"]}
    assert used - {"__rate_interval", "1"} == chosen - {"source"}
