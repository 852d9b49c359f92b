"""What doctor finds in an installation, and the command that it gives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from modelfleet import __version__
from modelfleet.cli.diagnosis.findings import examine
from modelfleet.cli.diagnosis.installation import Installation
from modelfleet.crds.structural import crds


def deployment(name: str, ready: int = 2, wanted: int = 2, image: str = "") -> dict:
    container = {"image": image or f"modelfleet/x:{__version__}"}
    return {
        "metadata": {"name": name, "namespace": "modelfleet-system"},
        "spec": {"replicas": wanted, "template": {"spec": {"containers": [container]}}},
        "status": {"readyReplicas": ready},
    }


def lease(seconds: float) -> dict:
    renewed = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    return {"spec": {"holderIdentity": "operator-a", "renewTime": renewed}}


def model(name: str = "digits", **spec: object) -> dict:
    usual = {"Ready": "True", "Available": "True", "RolledOut": "True", "Degraded": "False"}
    claims = [
        {"type": kind, "status": status, "reason": "R", "message": f"{kind} is {status}"}
        for kind, status in usual.items()
    ]
    meta = {"name": name, "namespace": "team-a", "generation": 1}
    return {
        "metadata": meta,
        "spec": spec,
        "status": {"observedGeneration": 1, "conditions": claims},
    }


def degraded() -> dict:
    found = model("broken")
    found["status"]["conditions"][-1] |= {"status": "True", "message": "it is slow"}
    return found


def quota(used: str, hard: str) -> dict:
    return {
        "metadata": {"name": "team", "namespace": "team-a"},
        "status": {"hard": {"limits.memory": hard}, "used": {"limits.memory": used}},
    }


def well() -> Installation:
    """A good installation of this moment: the Lease grows old while other tests run."""
    return replace(_WELL, lease=lease(2))


_WELL = Installation(
    server_version="v1.34.4",
    crds={each["spec"]["names"]["plural"]: each for each in crds()},
    operators=(deployment("modelfleet-operator"),),
    gateways=(deployment("modelfleet-gateway"),),
    policy_binding={"metadata": {}},
    rights={"create deployments": True},
    dns_endpoints=2,
    models=(model(),),
    quotas=(quota("1Gi", "4Gi"),),
)


def old_crd() -> dict:
    found = {each["spec"]["names"]["plural"]: each for each in crds()}
    schema = found["mlmodels"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["scaling"]
    return found


def new_crd() -> dict:
    found = {each["spec"]["names"]["plural"]: each for each in crds()}
    schema = found["mlmodels"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["newer"] = {"type": "string"}
    return found


SIGNAL = {"scaling": {"signals": [{"name": "lag", "query": "lag", "target": 1}]}}
GPU = {"resources": {"accelerator": {"count": 1}}}


def test_a_good_installation_has_no_fault():
    found = examine(well())
    assert {finding.level for finding in found} == {"ok"}
    assert len(found) >= 9


@pytest.mark.parametrize(
    ("change", "level", "words", "mend"),
    [
        ({"server_version": "v1.29.3"}, "fault", "older than 1.30", ""),
        ({"crds": {"mlmodels": None}}, "fault", "mlmodels does not exist", "helm upgrade"),
        ({"crds": old_crd()}, "fault", "lacks fields of this release", "-f crds/"),
        ({"crds": new_crd()}, "warning", "does not know, such as spec.newer", "newer"),
        ({"operators": ()}, "fault", "modelfleet-operator is not installed", "helm upgrade"),
        ({"operators": None}, "unknown", "may not be read", ""),
        (
            {"operators": (deployment("modelfleet-operator", ready=0),)},
            "fault",
            "no replica is ready",
            "kubectl -n modelfleet-system describe pods",
        ),
        (
            {"gateways": (deployment("modelfleet-gateway", ready=1),)},
            "warning",
            "1 of 2 replicas are ready",
            "describe pods",
        ),
        (
            {"gateways": (deployment("modelfleet-gateway", ready=1, wanted=1),)},
            "warning",
            "one alone loses requests",
            "--replicas=2",
        ),
        (
            {"operators": (deployment("modelfleet-operator", image="modelfleet/x:0.0.9"),)},
            "warning",
            "is release 0.0.9",
            "helm upgrade",
        ),
        ({"lease": None}, "fault", "the Lease was never taken", "logs"),
        ({"lease": lease(300)}, "fault", "s old", "logs"),
        ({"rights": {"create deployments": False}}, "fault", "may not create deployments", "helm"),
        ({"policy_binding": None}, "warning", "the policy is missing", "policy.yaml"),
        ({"dns_endpoints": 0}, "warning", "DNS", "kube-dns"),
        (
            {"models": (model(**SIGNAL),)},
            "fault",
            "the operator has no Prometheus",
            "prometheusUrl",
        ),
        ({"models": (model(**GPU),)}, "fault", "no node offers nvidia.com/gpu", "device plugin"),
        ({"models": (degraded(),)}, "fault", "broken: it is slow", "status broken -n team-a"),
        ({"models": None}, "unknown", "models may not be read", ""),
        (
            {"quotas": (quota("3.9Gi", "4Gi"),)},
            "warning",
            "limits.memory is nearly",
            "describe quota",
        ),
    ],
)
def test_a_fault_is_named_with_what_mends_it(change, level, words, mend):
    found = [finding for finding in examine(replace(well(), **change)) if words in finding.text]
    assert [finding.level for finding in found] == [level]
    assert mend in found[0].mend


def test_gateways_that_are_switched_off_are_no_fault():
    found = examine(replace(well(), gateways=(), settings={"MODELFLEET_GATEWAY": "Off"}))
    assert {finding.level for finding in found} == {"ok"}


def test_a_policy_that_may_not_be_read_is_no_finding():
    denied = ("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/x",)
    found = examine(replace(well(), policy_binding=None, denied=denied))
    assert {finding.level for finding in found} == {"ok"}
