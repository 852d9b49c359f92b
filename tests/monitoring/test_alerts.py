"""Each alert fires when it should and only then, names its runbook, and says the effect first."""

import re

import pytest
import yaml

from tests.monitoring import exposition
from tests.monitoring.promtool import ROOT, RULES, promtool

CASES = sorted((ROOT / "tests" / "monitoring").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
ALL = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ALL if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})
MAX_WORDS = 25
SECTIONS = ("## Who feels it", "## Look", "## Do", "## Do not")


def cases(path):
    """Name of the alert, and the severities that are expected, of each case."""
    for test in yaml.safe_load(path.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            yield case["alertname"], {each["exp_labels"]["severity"] for each in case["exp_alerts"]}


TESTED = [case for path in CASES for case in cases(path)]


def test_cases_use_series_as_the_processes_expose_them():
    exposed = {sample.name: set(sample.labels) for _, _, sample in exposition.samples()}
    series = {
        each["series"]
        for path in CASES
        for test in yaml.safe_load(path.read_text())["tests"]
        for each in test["input_series"]
    }
    for each in series:
        name, labels = each.split("{")
        used = set(re.findall(r'(\w+)="', labels)) - {"job", "instance", "exported_namespace"}
        assert used == exposed[name], each


def test_rules_are_clean():
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, said
    assert f"{len(ALL)} rules found" in said


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path):
    code, said = promtool("test", "rules", path)
    assert code == 0, said


def test_a_case_that_is_wrong_is_seen(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    text = CASES[0].read_text().replace("../../charts", str(ROOT / "charts"))
    assert "severity: critical" in text
    wrong.write_text(text.replace("severity: critical", "severity: none"))
    code, _ = promtool("test", "rules", wrong)
    assert code != 0


@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: f"{r['alert']}-{r['labels']['severity']}")
def test_each_alert_has_a_case_that_fires_and_one_that_does_not(rule):
    name, severity = rule["alert"], rule["labels"]["severity"]
    assert (name, {severity}) in TESTED
    assert (name, set()) in TESTED


@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: f"{r['alert']}-{r['labels']['severity']}")
def test_each_alert_says_what_it_means(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    summary = rule["annotations"]["summary"]
    assert summary.endswith(".")
    words = re.sub(r"\{\{.*?\}\}", "X", summary).split()
    assert len(words) <= MAX_WORDS
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"


def test_each_alert_has_a_page_and_each_page_an_alert():
    assert sorted(page.stem for page in RUNBOOKS.glob("*.md")) == sorted([*NAMES, "README"])


@pytest.mark.parametrize("name", NAMES)
def test_each_page_says_how_to_look_and_what_to_do(name):
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    places = [text.index(section) for section in SECTIONS]
    assert places == sorted(places)
    assert "    kubectl " in text
    assert f"[{name}]({name}.md)" in (RUNBOOKS / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_each_field_and_value_that_a_page_names_exists(name):
    text = (RUNBOOKS / f"{name}.md").read_text()
    fields = set(re.findall(r"`([a-z]\w*(?:\.\w+)+)(?:: [^`]*)?`", text))
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()
    chart = (ROOT / "charts" / "modelfleet" / "README.md").read_text()
    gone = {f for f in fields if f"| `spec.{f}` |" not in reference and f"| `{f}" not in chart}
    assert gone == set()


def test_pages_name_fields_at_all():
    pages = " ".join(page.read_text() for page in RUNBOOKS.glob("*.md"))
    assert "`scaling.maxReplicas`" in pages
    assert "`scaling.minReplicas: 1`" in pages
