"""Other spellings and other writers: a model is not fought over, and its rollouts go on.

Specs are drawn over what the schema takes; the API server answers what it would store.
"""

import json
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.build.pod import pod_template
from modelfleet.build.workload import deployment
from modelfleet.core.model.object_diff import first_difference
from modelfleet.core.model.validation import runtime_of
from modelfleet.facts.identity import Key
from modelfleet.facts.model import Defaults
from tests import stack
from tests.e2e.conftest import model, ready

QUIET_SECONDS = 6
DIGEST = f"sha256:{'0' * 64}"
MEMORY = st.sampled_from(
    [
        "1024Mi",
        "1Gi",
        "0.5Gi",
        "1073741824",
        536870912,
        "1e9",
        "1000M",
        "1.5Gi",
        "2048Ki",
        "1E9",
        1e9,
        2.5e8,
    ]
)
CPU = st.sampled_from(
    ["0.5", "500m", "0.02", "20m", 1, "1", "1.0", "1500m", ".25", "1e-1", 0.5, 2.0, 0]
)
TEXT = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=20)
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
ENTRIES = st.fixed_dictionaries({"name": NAMES}, optional={"value": st.just("") | TEXT})
TOLERATIONS = st.fixed_dictionaries(
    {"operator": st.just("Exists")},
    optional={"key": st.just("gpu"), "effect": st.sampled_from(["NoSchedule", "NoExecute"])},
)
SPECS = st.fixed_dictionaries(
    {
        "model": st.just({"uri": "https://models.example/digits.onnx"}),
        "resources": st.fixed_dictionaries({}, optional={"cpu": CPU, "memory": MEMORY}),
        "runtime": st.fixed_dictionaries(
            {},
            optional={
                "env": st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry["name"]),
                "startupSeconds": st.sampled_from([1, 60, 600, 7200]),
                "shutdownSeconds": st.sampled_from([1, 60, 3600]),
            },
        ),
        "placement": st.fixed_dictionaries(
            {},
            optional={
                "tolerations": st.lists(TOLERATIONS, max_size=2),
                "nodeSelector": st.dictionaries(
                    st.sampled_from(["disk", "zone.example/a"]), st.sampled_from(["", "ssd"])
                ),
            },
        ),
    }
)


@settings(
    max_examples=int(os.environ.get("MODELFLEET_DRAWN_LISTS", "12")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(specs=st.lists(SPECS, min_size=6, max_size=6))
def test_whatever_the_server_makes_of_a_template_is_no_difference(namespace, specs):
    key = Key(namespace, "drawn")
    objects, manifests = [], []
    for number, body in enumerate(specs, start=1):
        spec = MLModelSpec.model_validate(body)
        defaults = Defaults(server_image="modelfleet/server:dev")
        shape = runtime_of(spec).pod(key.name, spec, defaults.server_image)
        name = f"{key.name}-v{number}"
        template = pod_template(
            name, key.name, spec, shape, digest=DIGEST, config={}, defaults=defaults
        )
        manifest = deployment(key, "0b7d5a5e-0000-4000-8000-000000000000", name, template, 600)
        manifest["metadata"]["namespace"] = namespace
        manifests.append(manifest)
        objects.append({**model(namespace, None, f"drawn-{number}"), "spec": body})
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*manifests, *objects]})
    answer = stack.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=text)
    stored = [item for item in documents(answer) if item["kind"] == "Deployment"]
    assert len(stored) == len(manifests)
    for wanted, live in zip(manifests, stored, strict=True):
        assert first_difference(wanted, live) is None, json.dumps(wanted["spec"]["template"])


def documents(text: str) -> list[dict]:
    """JSON documents that follow each other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        item, end = decoder.raw_decode(text)
        found.append(item)
        text = text[end:]
    return found


@pytest.fixture
def served(namespace, store):
    """A model whose spec is spelled as the API server does not spell it."""
    oddly = {
        "resources": {"cpu": "0.05", "memory": "262144Ki"},
        "runtime": {"env": [{"name": "EMPTY", "value": ""}, {"name": "A", "value": "1"}]},
    }
    stack.apply(model(namespace, f"{store}/digits-1.onnx", **oddly))
    ready(namespace)
    return namespace


def own_writes(namespace: str, since: int) -> list[str]:
    """Writes of the operator to objects of this namespace; events and Leases are of others."""
    return [
        stack.written(event)
        for event in stack.writes(since)
        if event["objectRef"].get("namespace") == namespace
    ]


def quiet(namespace: str) -> None:
    """Nothing is written for a while, within half a minute."""

    def is_quiet() -> bool:
        before = stack.audit_position()
        time.sleep(QUIET_SECONDS)
        return own_writes(namespace, before) == []

    stack.wait("no writes", is_quiet, 60)


def versions(namespace: str) -> list[str]:
    return sorted(item["metadata"]["name"] for item in stack.items("mlmodelversions", namespace))


def test_an_oddly_spelled_model_is_quiet_and_rolls_out(served, store):
    quiet(served)
    patch = {
        "resources": {"cpu": "50m", "memory": "256Mi"},
        "runtime": {"env": [{"name": "A", "value": "1"}, {"name": "EMPTY"}], "name": "onnx"},
        "model": {"format": "onnx"},
    }
    stack.kubectl(
        *("-n", served, "patch", "mlmodel", "digits", "--type=merge"),
        *("-p", json.dumps({"spec": patch})),
    )
    ready(served)
    assert versions(served) == ["digits-v1"]
    quiet(served)
    rolls_out(served, store)


def rolls_out(namespace: str, store: str) -> None:
    """The next version takes over."""
    patch = {"spec": {"model": {"uri": f"{store}/digits-2.onnx"}}}
    stack.kubectl(
        *("-n", namespace, "patch", "mlmodel", "digits", "--type=merge", "-p", json.dumps(patch))
    )
    stack.wait(
        "the next version",
        lambda: stack.get("mlmodel", namespace, "digits")["status"].get("stable") == "digits-v2",
        90,
    )
    ready(namespace)


THEIRS = {"name": "theirs", "image": "modelfleet/server:dev", "command": ["sleep", "9"]}
EDITS = {
    "restart": ("rollout", "restart", "deployment/digits-v1"),
    "variable": ("set", "env", "deployment/digits-v1", "FOO=bar"),
    "pause": ("rollout", "pause", "deployment/digits-v1"),
    "selector": (
        *("patch", "service", "digits-v1", "--type=merge"),
        *("-p", '{"spec":{"selector":{"theirs":"x"}}}'),
    ),
    "annotation": ("annotate", "deployment/digits-v1", "theirs=x"),
    "label of pods": (
        *("patch", "deployment", "digits-v1", "--type=merge"),
        *("-p", '{"spec":{"template":{"metadata":{"labels":{"theirs":"x"}}}}}'),
    ),
    "container": (
        *("patch", "deployment", "digits-v1", "--type=strategic"),
        *("-p", json.dumps({"spec": {"template": {"spec": {"containers": [THEIRS]}}}})),
    ),
}
TAKEN_BACK = {"variable", "pause", "selector", "container"}


@pytest.mark.parametrize("edit", EDITS)
def test_foreign_edit_is_taken_back_or_left_and_the_next_rollout_goes_on(served, store, edit):
    before = {
        kind: stack.get(kind, served, "digits-v1")["spec"] for kind in ("deployment", "service")
    }
    stack.kubectl("-n", served, *EDITS[edit])
    quiet(served)
    ready(served)
    if edit in TAKEN_BACK:
        now = stack.get("deployment", served, "digits-v1")["spec"]
        assert now["template"]["spec"] == before["deployment"]["template"]["spec"]
        assert not now.get("paused")
        selector = stack.get("service", served, "digits-v1")["spec"]["selector"]
        assert selector == before["service"]["selector"]
    rolls_out(served, store)
