"""A version that somebody wrote by hand: its pods get no rights that ours never have."""

from dataclasses import replace

import pytest

from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard, unsafe_part, without_breaches
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.facts.model import ResolveFacts
from tests.given import DIGEST, a_model

SERVER = {"name": "server", "image": "server:1"}


@pytest.mark.parametrize(
    "pod",
    [
        {"hostNetwork": True},
        {"hostPID": True},
        {"hostIPC": True},
        {"serviceAccountName": "admin"},
        {"automountServiceAccountToken": True},
        {"shareProcessNamespace": True},
        {"securityContext": {"runAsUser": 0}},
        {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {}}]}}]},
        {"containers": [{**SERVER, "securityContext": {"runAsUser": 0}}]},
        {"containers": [{**SERVER, "securityContext": {"procMount": "Unmasked"}}]},
        {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
        {"containers": [{**SERVER, "securityContext": {"privileged": True}}]},
        {"containers": [{**SERVER, "securityContext": {"allowPrivilegeEscalation": True}}]},
        {"initContainers": [{**SERVER, "securityContext": {"capabilities": {"add": ["ALL"]}}}]},
        {"containers": [{**SERVER, "ports": [{"containerPort": 1, "hostPort": 1}]}]},
    ],
    ids=str,
)
def test_its_deployment_is_not_written(pod):
    given = a_model().with_version(1, replicas=0, source=source_hash(a_model().spec))
    version = given.versions["digits-v1"]
    template = {"metadata": {}, "spec": {"containers": [SERVER], **pod}}
    given.versions["digits-v1"] = replace(version, template=template, deployment=None)
    facts = given.facts()
    plan = decide(facts)
    breaches = guard(plan, facts)
    assert [breach.name for breach in breaches] == ["UnsafeTemplate"]
    rest = without_breaches(plan, breaches)
    assert "Deployment" not in [create.manifest["kind"] for create in rest.creates]
    assert guard(rest, facts) == []
    stalled = next(c for c in plan.status.conditions if c.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "PlanRefused")


def test_a_template_of_ours_is_written():
    given = a_model()
    resolved = ResolveFacts("p", "u", source_hash(given.spec), digest=DIGEST)
    plan = decide(given.with_facts(resolve=resolved).facts())
    [version] = [c.manifest for c in plan.creates if c.manifest["kind"] == "MLModelVersion"]
    assert unsafe_part(version["spec"]["template"]["spec"]) == ""
