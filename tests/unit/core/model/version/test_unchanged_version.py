"""An edit that changes neither pods nor probe makes no version; any other makes one."""

import copy
from dataclasses import replace

import pytest

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.core.model.version.unchanged_version import canonical
from modelfleet.core.model.version.version_body import version_body
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.core.model.version.wanted_version import wanted_version_of
from modelfleet.facts.model import ModelFacts, VersionFacts
from tests.given import DIGEST, a_model

URI = "https://models.example/digits.onnx"
CONFIG = {("settings", "mode"): "fast"}
SPEC = {
    "model": {"uri": URI},
    "resources": {"cpu": "20m", "memory": "1Gi"},
    "runtime": {
        "env": [
            {"name": "A", "value": "1"},
            {"name": "EMPTY", "value": ""},
            {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
        ]
    },
}


def changed(*path_and_value: object) -> dict:
    """The spec with one field set."""
    *path, last, value = path_and_value
    spec = {k: (dict(v) if isinstance(v, dict) else v) for k, v in SPEC.items()}
    inner = spec
    for key in path:
        inner[key] = dict(inner.get(key, {}))
        inner = inner[key]
    inner[last] = value
    return spec


def facts_with_version(spec: dict = SPEC, *, scratch: bool = True) -> ModelFacts:
    """A model with one version, built from `spec`."""
    facts = a_model().facts()
    defaults = replace(facts.defaults, has_scratch=scratch)
    facts = replace(facts, versions=(), config_maps=CONFIG, defaults=defaults)
    parsed = MLModelSpec.model_validate(spec)
    digest = DIGEST if parsed.model.uri else None
    body = version_body(facts, parsed, source_hash(parsed), digest, 1)
    frozen = MLModelVersionSpec.model_validate(body)
    version = VersionFacts("digits-v1", "uid", frozen, frozen.template, None, None, ())
    return replace(facts, versions=(version,))


def wanted(facts: ModelFacts, spec: dict) -> str | None:
    version = wanted_version_of(facts, MLModelSpec.model_validate(spec)).version
    return version.name if version else None


UNCHANGED = {
    "order of variables": changed("runtime", "env", SPEC["runtime"]["env"][::-1]),
    "start-up at its default": changed("runtime", "startupSeconds", 600),
    "probes at their default": changed("quality", "generatedProbes", True),
    "the digest that was resolved": changed("model", "digest", DIGEST),
    "the runtime that was implied": changed("runtime", "name", "onnx"),
    "the format that was implied": changed("model", "format", "onnx"),
    "no tolerations": changed("placement", "tolerations", []),
    "another spelling of cpu": changed("resources", "cpu", "0.02"),
    "another spelling of memory": changed("resources", "memory", "1024Mi"),
    "bytes": changed("resources", "memory", 1073741824),
    "an absent value for an empty one": changed(
        "runtime", "env", [SPEC["runtime"]["env"][0], {"name": "EMPTY"}, SPEC["runtime"]["env"][2]]
    ),
    "the time-out": changed("traffic", "requestTimeoutSeconds", 17),
    "the bounds": changed("scaling", "maxReplicas", 3),
}
CHANGED = {
    "cpu": changed("resources", "cpu", "21m"),
    "memory": changed("resources", "memory", "1G"),
    "another file": changed("model", "uri", "https://models.example/other.onnx"),
    "another digest": changed("model", "digest", f"sha256:{'9' * 64}"),
    "an own name": changed("model", "version", "two"),
    "a value": changed("runtime", "env", [{"name": "A", "value": "2"}]),
    "a reference between variables": changed(
        "runtime", "env", [{"name": "A", "value": "$(B)"}, {"name": "B", "value": "1"}]
    ),
    "start-up": changed("runtime", "startupSeconds", 601),
    "no probes": changed("quality", "generatedProbes", False),
    "a toleration": changed("placement", "tolerations", [{"operator": "Exists"}]),
    "a node selector": changed("placement", "nodeSelector", {"disk": "ssd"}),
    "shut-down": changed("runtime", "shutdownSeconds", 17),
}


@pytest.mark.parametrize("spec", UNCHANGED.values(), ids=UNCHANGED)
def test_edit_that_changes_no_pod_makes_no_version(spec):
    assert wanted(facts_with_version(), spec) == "digits-v1"


@pytest.mark.parametrize("spec", CHANGED.values(), ids=CHANGED)
def test_edit_that_changes_pods_or_probe_makes_a_version(spec):
    assert wanted(facts_with_version(), spec) is None


@pytest.mark.parametrize("spec", UNCHANGED.values(), ids=UNCHANGED)
def test_neither_does_it_after_an_upgrade_of_the_operator_with_other_defaults(spec):
    facts = facts_with_version()
    later = replace(
        facts.defaults,
        server_image="modelfleet/server:next",
        image_pull_policy="Always",
        pre_stop_seconds=9,
        release="9.9.9",
    )
    config = {("settings", "mode"): "slow, since yesterday"}
    assert wanted(replace(facts, defaults=later, config_maps=config), spec) == "digits-v1"


@pytest.mark.parametrize("spec", UNCHANGED.values(), ids=UNCHANGED)
def test_neither_does_it_where_the_version_has_no_scratch_folder_yet(spec):
    facts = facts_with_version(scratch=False)
    assert wanted(replace(facts, defaults=a_model().facts().defaults), spec) == "digits-v1"


def test_an_image_of_ones_own_is_compared_too():
    spec = {"model": {}, "runtime": {"name": "custom", "image": "mine:1"}}
    facts = facts_with_version(spec)
    assert wanted(facts, {**spec, "placement": {"tolerations": []}}) == "digits-v1"
    assert wanted(facts, {**spec, "runtime": {"name": "custom", "image": "mine:2"}}) is None


def test_canonical_form_of_the_worked_example():
    value = {"limits": {"memory": "1024Mi"}, "env": []}
    assert canonical(value) == {"limits": {"memory": "1073741824"}}


def test_a_version_of_an_earlier_release_stays_after_an_edit_that_changes_nothing():
    """It has no spread over nodes, and no argument for the time of its server's shut-down."""
    spec = changed("traffic", "requestTimeoutSeconds", 120)
    facts = facts_with_version(spec)
    [version] = facts.versions
    template = copy.deepcopy(dict(version.template))
    pod = template["spec"]
    del pod["topologySpreadConstraints"]
    args = pod["containers"][0].get("args", [])
    at = args.index("--shutdown-seconds")
    del args[at : at + 2]
    older = version.spec.model_copy(update={"template": template})
    facts = replace(facts, versions=(replace(version, spec=older, template=template),))
    edited = {**spec, "resources": {**SPEC["resources"], "memory": "1024Mi"}}
    assert wanted(facts, edited) == "digits-v1"
    other = {**spec, "resources": {**SPEC["resources"], "memory": "2Gi"}}
    assert wanted(facts, other) is None
