"""Values of the chart: what is wrong is refused by its name, what is said is what happens."""

from __future__ import annotations

import random

import pytest
import yaml

from modelfleet.settings import Settings
from tests.chart import dashboards, generate
from tests.chart.drawn_values import leaves, nested, valid, whole, wrong
from tests.chart.helm import LOCAL_VALUES, HelmError, helm, rendered
from tests.chart.values import SET_BY_CHART

LEAVES = leaves()
SEEDS = range(12)


def test_written_files_are_those_of_the_values(tmp_path, monkeypatch):
    chart = generate.CHART
    before = {name: (chart / name).read_text() for name in ("values.yaml", "values.schema.json")}
    assert before["values.yaml"] == generate.values_text(), "run 'make generate'"
    assert yaml.safe_load(before["values.yaml"]) == generate.defaults()
    assert yaml.safe_load(before["values.schema.json"]) == generate.schema()


def test_written_dashboards_are_those_of_the_panels():
    folder = generate.CHART / "files" / "monitoring" / "dashboards"
    written = {path.name: path.read_text() for path in folder.glob("*")}
    assert written == dashboards.texts(), "run 'make generate'"


def test_helm_lints_it():
    assert "0 chart(s) failed" in helm("lint", str(generate.CHART), "--strict")


@pytest.mark.parametrize("path", [path for path, _ in LEAVES], ids=".".join)
def test_a_wrong_type_is_refused_by_name(path):
    part = next(found for at, found in LEAVES if at == path)
    with pytest.raises(HelmError, match=path[-1]):
        rendered(nested(path, wrong(part)))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"replicas": 3}, "replicas"),
        ({"operator": {"replica": 3}}, "replica"),
        ({"settings": {"scaleDownSecond": 3}}, "scaleDownSecond"),
        ({"settings": {"namespace": "x"}}, "namespace"),
        ({"gateway": {"replicas": 1}}, "replicas"),
        ({"operator": {"replicas": 0}}, "replicas"),
        ({"images": {"agent": {"digest": "sha256:1"}}}, "digest"),
        ({"watchNamespaces": ["Upper"]}, "watchNamespaces"),
        ({"watchNamespaces": ["a", "a"]}, "watchNamespaces"),
        ({"settings": {"logLevel": "loud"}}, "logLevel"),
        ({"settings": {"workers": 0}}, "workers"),
        (
            {"operator": {"replicas": 2, "memory": {"persistent": True}}},
            "operator.memory.accessModes must hold ReadWriteMany",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name(values, name):
    with pytest.raises(HelmError, match=name):
        rendered(values)


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_values_render(seed):
    values = whole(valid(random.Random(seed)))
    assert rendered(values, tests=True)


def test_settings_arrive_as_the_processes_read_them(monkeypatch):
    values = {
        "settings": {
            "scaleDownSeconds": 1500000,
            "tickSeconds": 0.5,
            "workers": 1000000,
            "prometheusUrl": "https://prometheus.example:9090/a?b=c",
            "domain": 'models."example"',
        },
        "watchNamespaces": ["team-a", "team-b"],
    }
    [settings] = [each for each in rendered(values) if each["kind"] == "ConfigMap"]
    for name, value in settings["data"].items():
        monkeypatch.setenv(name, value)
    read = Settings()
    assert read.scale_down_seconds == 1_500_000
    assert read.tick_seconds == 0.5
    assert read.workers == 1_000_000
    assert read.prometheus_url == "https://prometheus.example:9090/a?b=c"
    assert read.domain == 'models."example"'
    assert read.watch_namespaces == "team-a,team-b"


def test_settings_that_the_chart_sets_exist():
    assert set(Settings.model_fields) >= SET_BY_CHART


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "modelfleet/agent:0.1.0"),
        ({"tag": "x"}, "modelfleet/agent:x"),
        ({"tag": "x", "digest": f"sha256:{'1' * 64}"}, f"modelfleet/agent@sha256:{'1' * 64}"),
        ({"repository": "own"}, "own:0.1.0"),
    ],
)
@pytest.mark.parametrize("registry", ["", "registry.example:5000/a", "registry.example/"])
def test_images(image, expected, registry):
    objects = rendered({"images": {"registry": registry, "agent": image}})
    [gateway] = [
        each
        for each in objects
        if each["kind"] == "Deployment" and "gateway" in str(each["metadata"]["name"])
    ]
    [agent] = gateway["spec"]["template"]["spec"]["containers"]
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    assert agent["image"] == f"{prefix}{expected}"


def test_one_switch_each():
    off = {
        "crds": {"install": False},
        "admissionPolicy": {"enabled": False},
        "userRoles": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "podDisruptionBudgets": {"enabled": False},
    }
    kinds = {each["kind"] for each in rendered(off)}
    assert kinds == {
        *("ConfigMap", "Deployment", "Service", "ServiceAccount"),
        *("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    }
    monitoring = {"podMonitors": True, "rules": True}
    on = {"monitoring": monitoring, "operator": {"memory": {"persistent": True}}}
    more = {each["kind"] for each in rendered(on)} - kinds
    assert more == {
        *("CustomResourceDefinition", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor"),
        "PrometheusRule",
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        "PersistentVolumeClaim",
    }


@pytest.mark.parametrize(
    ("url", "prefix"),
    [("", ""), ("https://git.example/fleet/", "https://git.example/fleet/")],
)
def test_rules_are_those_of_the_file_with_your_runbooks(url, prefix):
    [rule] = [
        each
        for each in rendered({"monitoring": {"rules": True, "runbookUrl": url}})
        if each["kind"] == "PrometheusRule"
    ]
    file = generate.CHART / "files" / "monitoring" / "rules.yaml"
    text = file.read_text().replace("docs/runbooks/", f"{prefix}docs/runbooks/")
    assert rule["spec"] == yaml.safe_load(text)


def test_dashboards_are_the_files_and_grafana_finds_them():
    files = {
        name: text
        for each in rendered({"monitoring": {"dashboards": True}})
        if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
        for name, text in each["data"].items()
    }
    assert files == {f"modelfleet-{name}": text for name, text in dashboards.texts().items()}


def test_namespaced_mode_has_no_right_outside_its_namespaces():
    objects = rendered({"watchNamespaces": ["team-a", "team-b"], "userRoles": {"enabled": False}})
    kinds = [each["kind"] for each in objects]
    assert "ClusterRole" not in kinds
    assert "ClusterRoleBinding" not in kinds
    places = {each["metadata"]["namespace"] for each in objects if each["kind"] == "Role"}
    assert places == {"team-a", "team-b", "modelfleet-system"}


def test_local_values_are_valid():
    assert rendered(yaml.safe_load(LOCAL_VALUES.read_text()))
