"""One pod whose clock is wrong: libfaketime from Debian, preloaded from a ConfigMap.

Called by `bad_days`. Only `CLOCK_REALTIME` is moved, as a wrong clock of a node would be.
"""

from __future__ import annotations

import base64
import copy
import functools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests import stack
from tests.stack import Json

PACKAGE, LIBRARY = "libfaketime", "libfaketime.so.1"
CONFIG_MAP, FOLDER = "wrong-clock", "/opt/wrong-clock"


@functools.cache
def library() -> bytes:
    """The shared library out of Debian's package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
        [package] = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), folder], check=True)
        [found] = Path(folder).rglob(LIBRARY)
        return found.read_bytes()


def skewed(deployment: Json, container: str, offset: str, name: str) -> Json:
    """A copy of a Deployment with one replica, whose container's clock is off by `offset`."""
    made: Json = copy.deepcopy(deployment)
    meta = made["metadata"]
    made.pop("status", None)
    made["metadata"] = {"name": name, "namespace": meta["namespace"], "labels": meta["labels"]}
    made["spec"]["replicas"] = 1
    template = made["spec"]["template"]
    # The labels of the original let the Service choose its pod; one more keeps the two apart.
    for labels in (made["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]):
        labels["clock"] = "wrong"
    pod = template["spec"]
    pod.setdefault("volumes", []).append({"name": "clock", "configMap": {"name": CONFIG_MAP}})
    [found] = [each for each in pod["containers"] if each["name"] == container]
    found.setdefault("volumeMounts", []).append({"name": "clock", "mountPath": FOLDER})
    found.setdefault("env", []).extend(
        [
            {"name": "LD_PRELOAD", "value": f"{FOLDER}/{LIBRARY}"},
            {"name": "FAKETIME", "value": offset},
            {"name": "DONT_FAKE_MONOTONIC", "value": "1"},
        ]
    )
    return made


def wrong_clock(original: str, container: str, offset: str) -> Callable[[], None]:
    """Add a pod like those of `original` with a wrong clock; returns what takes it away."""
    found = stack.get("deployment", stack.SYSTEM, original)
    assert found is not None
    name = f"{original}-wrong"
    stack.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG_MAP, "namespace": stack.SYSTEM},
            "binaryData": {LIBRARY: base64.b64encode(library()).decode()},
        },
        skewed(found, container, offset, name),
    )
    stack.kubectl(
        *("-n", stack.SYSTEM, "rollout", "status", f"deployment/{name}", stack.timeout(120))
    )

    def end() -> None:
        stack.kubectl("-n", stack.SYSTEM, "delete", "deployment", name)
        stack.kubectl("-n", stack.SYSTEM, "delete", "configmap", CONFIG_MAP)

    return end
