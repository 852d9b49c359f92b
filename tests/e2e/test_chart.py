"""The Helm chart and the manifests are the same, and the API server takes what the chart makes."""

import json
import os
import random

import pytest
import yaml

from tests import stack
from tests.chart.drawn_values import valid, whole
from tests.chart.helm import LOCAL_VALUES, rendered

DRAWN = int(os.environ.get("MODELFLEET_DRAWN_VALUES", "12"))
HELM_LABELS = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
HELM_ANNOTATIONS = {"helm.sh/resource-policy", "checksum/settings"}
MARKED = {
    "clientNamespaceLabels": {"modelfleet.dev/clients": "true"},
    "monitoringNamespaceLabels": {"modelfleet.dev/monitoring": "true"},
}
OVERLAYS = {
    "base": {},
    "local": yaml.safe_load(LOCAL_VALUES.read_text()),
    "high-availability": {"operator": {"replicas": 2}},
    "namespaced": {"watchNamespaces": ["models"]},
    "restricted": {"networkPolicies": MARKED},
}


def plain(item: dict) -> dict:
    """An object without what only Helm adds, and with the pull policy that Kubernetes would set."""
    for meta in (item["metadata"], item.get("spec", {}).get("template", {}).get("metadata", {})):
        for key, added in (("labels", HELM_LABELS), ("annotations", HELM_ANNOTATIONS)):
            left = {
                name: value for name, value in (meta.get(key) or {}).items() if name not in added
            }
            meta.pop(key, None)
            # Kustomize puts part-of everywhere but on templates, Helm on templates, too.
            left.pop("app.kubernetes.io/part-of", None)
            if left:
                meta[key] = left
    if item["kind"].startswith("ValidatingAdmissionPolicy"):
        # Kustomize takes it for an object of a namespace; the API server ignores that.
        item["metadata"].pop("namespace", None)
    if item["kind"] == "Deployment":
        pod = item["spec"]["template"]["spec"]
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            container.setdefault("imagePullPolicy", "IfNotPresent")
    return item


def by_name(items: list[dict]) -> dict[str, dict]:
    """Objects by kind, namespace and name; a Namespace belongs to whoever calls Helm."""
    cleaned = [plain(item) for item in items if item["kind"] != "Namespace"]
    return {
        "/".join(
            (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
        ): item
        for item in cleaned
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_chart_and_manifests_are_equal(overlay):
    text = stack.kubectl("kustomize", str(stack.ROOT / "manifests" / overlay))
    manifests = by_name([item for item in yaml.safe_load_all(text) if item])
    chart = by_name(rendered(OVERLAYS[overlay]))
    assert set(manifests) == set(chart)
    for name, wanted in manifests.items():
        assert chart[name] == wanted, name


def test_the_comparison_sees_a_difference():
    chart = by_name(rendered({"operator": {"replicas": 3}}))
    text = stack.kubectl("kustomize", str(stack.ROOT / "manifests" / "high-availability"))
    manifests = by_name([item for item in yaml.safe_load_all(text) if item])
    assert chart != manifests


@pytest.mark.parametrize("seed", range(DRAWN))
def test_the_api_server_takes_what_drawn_values_make(namespace, seed):
    values = whole(valid(random.Random(seed)))
    watched = values.get("watchNamespaces", [])
    objects = rendered(values)
    for item in objects:
        place = item["metadata"].get("namespace")
        # The dry run needs namespaces that exist.
        if place in watched:
            item["metadata"]["namespace"] = namespace
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    stack.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"),
        given=text,
    )
