"""The model is ten lines, and the manifests are what they seem."""

import yaml

from modelfleet.api.mlmodel import MLModelSpec
from tests.demo import specs
from tests.demo.prepare import digests, overlay


def test_the_model_has_ten_lines_and_is_valid():
    text = specs.digits("team-a", "http://artifacts.team-a/digits-1.onnx", "one")
    assert len(text.splitlines()) <= 10
    spec = MLModelSpec.model_validate(yaml.safe_load(text)["spec"])
    assert (spec.scaling.min_replicas, spec.scaling.max_replicas) == (0, specs.MAX_REPLICAS)


def test_the_mistakes_are_mistakes():
    spec = yaml.safe_load(specs.contradiction("a", "http://x/y.onnx"))["spec"]
    assert spec["scaling"]["minReplicas"] > spec["scaling"]["maxReplicas"]
    assert yaml.safe_load(specs.unknown_runtime("a", "u"))["spec"]["runtime"]["name"] == "onyx"


def test_digests_are_read_from_the_lines_of_the_image_builder():
    lines = "docker.io/modelfleet/agent:dev sha256:aa /some/path\n"
    assert digests(lines) == {"agent": "sha256:aa"}


def test_each_pod_template_carries_the_digests_of_its_own_images_only():
    before = overlay({"operator": "sha256:1", "agent": "sha256:2", "envoy": "sha256:3"})
    after = overlay({"operator": "sha256:9", "agent": "sha256:2", "envoy": "sha256:3"})
    changed = [a != b for a, b in zip(before["patches"], after["patches"], strict=True)]
    assert changed == [True, False]
