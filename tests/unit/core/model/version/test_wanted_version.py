"""The version that a spec asks for, where the bytes of its artifact change on the way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.core.model.decide import decide
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.facts.model import Fault, ResolveFacts
from tests.given import DIGEST, NOW, Given, a_model, pod_of, spec_of

OTHER = "sha256:" + "2" * 64
MISMATCH = Fault(Reason.ARTIFACT_MISMATCH.value, "other bytes", is_hopeless=True)


def unstarted(fault: Fault = MISMATCH, **fields: object) -> Given:
    """A first version whose only replica has this fault and was never ready."""
    given = a_model()
    given.with_version(1, replicas=1, ready=0, source=source_hash(given.spec))
    pod = pod_of("digits-v1", 0, is_ready=False, ready_at=None, fault=fault)
    given.status.update(observedGeneration=1, candidate="digits-v1", lastVersion=1)
    version = given.with_pods(1, pod).versions["digits-v1"]
    given.versions["digits-v1"] = replace(version, **fields)
    return given.routed(1, v1=100)


def kinds(plan) -> list[str]:
    return [c.manifest["kind"] for c in plan.creates if c.manifest["kind"] != "Service"]


def seen(given: Given, digest: str | None = None, **fields: object) -> ResolveFacts:
    return ResolveFacts("p", "u", source_hash(given.spec), digest=digest, **fields)


def test_other_bytes_before_the_first_start_are_determined_anew():
    given = unstarted()
    plan = decide(given.facts())
    assert kinds(plan) == ["Pod"]
    assert plan.status.candidate == "digits-v1"
    waiting = decide(given.with_facts(resolve=seen(given)).facts())
    assert (kinds(waiting), waiting.deletes) == ([], ())
    found = decide(given.with_facts(resolve=seen(given, OTHER)).facts())
    assert kinds(found) == ["MLModelVersion"]
    made = found.creates[0].manifest
    assert (made["metadata"]["name"], made["spec"]["artifact"]["digest"]) == ("digits-v2", OTHER)


def test_the_version_of_the_new_bytes_takes_over():
    given = unstarted()
    artifact = {"uri": given.spec.model.uri, "digest": OTHER}
    source = source_hash(given.spec)
    given.with_version(2, replicas=1, ready=0, source=source, artifact=artifact)
    plan = decide(given.with_facts(resolve=seen(given, OTHER)).facts())
    assert plan.status.candidate == "digits-v2"
    assert [(d.kind, d.name) for d in plan.deletes if d.kind == "Pod"] == [("Pod", "p")]
    moved = decide(given.routed(2, v2=100, v1=0).facts())
    assert {pod.name for pod in moved.pods} == {"digits-v1-pod0"}


def test_the_same_digest_again_is_asked_for_once_a_minute():
    given = unstarted()
    early = seen(given, DIGEST, finished_at=NOW - timedelta(seconds=10))
    plan = decide(given.with_facts(resolve=early).facts())
    assert (kinds(plan), plan.deletes) == ([], ())
    late = seen(given, DIGEST, finished_at=NOW - timedelta(seconds=61))
    plan = decide(given.with_facts(resolve=late).facts())
    assert [(d.kind, d.name) for d in plan.deletes] == [("Pod", "p")]
    assert plan.status.candidate == "digits-v1"


@pytest.mark.parametrize(
    "given",
    [
        unstarted(startup_seconds=3.0),
        unstarted(outcome="Retired"),
        unstarted(Fault(Reason.CRASH_LOOP.value, "ends with code 1")),
    ],
    ids=["was ready", "was promoted", "other fault"],
)
def test_bytes_that_were_once_right_are_kept(given):
    assert "Pod" not in kinds(decide(given.facts()))


def test_a_digest_that_the_spec_names_is_kept():
    given = unstarted()
    model = given.spec.model.model_copy(update={"digest": DIGEST})
    given.spec = spec_of(model=model.model_dump(by_alias=True, exclude_none=True))
    version = given.versions["digits-v1"]
    spec = version.spec.model_copy(update={"source": source_hash(given.spec)})
    given.versions["digits-v1"] = replace(version, spec=spec)
    plan = decide(given.facts())
    assert "Pod" not in kinds(plan)
    assert plan.status.candidate == "digits-v1"


def test_the_stable_version_is_kept_although_its_source_has_changed():
    given = a_model().serving(1)
    pod = pod_of("digits-v1", 0, is_ready=False, ready_at=None, fault=MISMATCH)
    plan = decide(given.with_pods(1, pod).facts())
    assert "Pod" not in kinds(plan)


ACCELERATOR = {"accelerator": {"count": 1}}


@pytest.mark.parametrize(
    ("runtime", "is_refused"),
    [({}, True), ({"name": "onnx"}, True), ({"image": "gpu:1"}, False),
     ({"name": "custom", "image": "gpu:1"}, False)],
)  # fmt: skip
def test_an_accelerator_that_the_server_would_not_use_is_refused(runtime, is_refused):
    given = a_model()
    given.spec = spec_of(resources=ACCELERATOR, runtime=runtime)
    stalled = next(c for c in decide(given.facts()).status.conditions if c.type == "Stalled")
    assert stalled.status == str(is_refused)
    assert ("resources.accelerator: the server of runtime 'onnx'" in stalled.message) is is_refused


def test_a_version_that_has_an_unused_accelerator_already_serves_on():
    given = a_model()
    given.spec = spec_of(resources=ACCELERATOR)
    plan = decide(given.serving(1).facts())
    stalled = next(c for c in plan.status.conditions if c.type == "Stalled")
    assert stalled.status == "False"


@pytest.mark.parametrize("source", ["same", "another"])
def test_a_pod_that_ends_already_is_neither_deleted_again_nor_followed(source):
    given = a_model()
    pod = replace(seen(given), is_terminating=True)
    if source == "another":
        pod = replace(pod, source="s1-0000000000000000")
    plan = decide(given.with_facts(resolve=pod).facts())
    assert (kinds(plan), plan.deletes) == ([], ())
    serving = decide(a_model().serving(1).with_facts(resolve=pod).facts())
    assert serving.deletes == ()


@pytest.mark.parametrize(
    ("earlier", "seconds", "is_asked"),
    [(0, 0, True), (1, 59, False), (1, 60, True), (2, 119, False), (2, 120, True)],
)
def test_bytes_that_differ_at_each_download_are_asked_for_ever_less_often(
    earlier, seconds, is_asked
):
    given = a_model()
    source = source_hash(given.spec)
    for number in range(1, earlier + 1):
        given.with_version(number, replicas=0, source=source)
    newest = earlier + 1
    given.with_version(newest, replicas=1, ready=0, source=source)
    name, made = f"digits-v{newest}", NOW - timedelta(seconds=seconds)
    pod = pod_of(name, 0, is_ready=False, ready_at=None, fault=MISMATCH, created_at=made)
    given.with_pods(newest, pod)
    given.status.update(observedGeneration=1, candidate=name, lastVersion=newest)
    plan = decide(given.routed(1, **{f"v{newest}": 100}).facts())
    assert ("Pod" in kinds(plan)) is is_asked


def test_without_gateways_a_version_before_the_stable_one_is_kept():
    given = a_model().serving(1, number=2)
    given.with_version(1, replicas=1, ready=0, source=source_hash(given.spec))
    given.is_gateway_used = False
    pod = pod_of("digits-v1", 0, is_ready=False, ready_at=None, fault=MISMATCH)
    assert "Pod" not in kinds(decide(given.with_pods(1, pod).facts()))
