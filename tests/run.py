"""`make test`: everything from nothing to the last test, with progress.

`python -m tests.run [e2e|faults]`. Brings the local Kubernetes and the images up in the
background while the tests without a cluster run, installs the product, runs the rest, and ends
what it started. A cluster that was up before stays up. What may run side by side does, in as many
lanes as two cores can bear; the rest runs alone.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from tests import lanes, stack

NO_CLUSTER = (
    "tests/unit",
    "tests/properties",
    "tests/sequences",
    "tests/house",
    "tests/crds",
)
ON_LOOPBACK = "tests/gateway"
ON_CLUSTER = ("e2e", "faults")
LOOPBACK_LANES, CLUSTER_LANES = 2, 3
"""Tests on the cluster mostly wait for it; those on loopback drive real load."""


class Ground(threading.Thread):
    """Cluster and images, in the background; what it prints goes to the terminal as it comes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.error = ""

    def run(self) -> None:
        for verb in ("up", "load"):
            done = subprocess.run(
                [sys.executable, "-m", "tests.cluster", verb], cwd=stack.ROOT, check=False
            )
            if done.returncode != 0:
                self.error = f"`python3 -m tests.cluster {verb}` failed"
                return


def main(chosen: list[str]) -> int:
    """Run the tests; returns the exit code."""
    began = time.monotonic()
    was_up = is_up()
    ground = Ground()
    ground.start()
    codes = []
    try:
        if not chosen:
            codes.append(pytest("tests without a cluster", *NO_CLUSTER))
            say("the gateway against the real Envoy, on loopback")
            codes.append(lanes.Lanes(lanes.files(ON_LOOPBACK)).run(LOOPBACK_LANES))
        ground.join()
        if ground.error:
            say(ground.error)
            return 1
        say("installing modelfleet: kubectl apply -k manifests/local")
        stack.install()
        codes += on_cluster(chosen or list(ON_CLUSTER))
    finally:
        if not was_up:
            subprocess.run(
                [sys.executable, "-m", "tests.cluster", "down"], cwd=stack.ROOT, check=False
            )
    bad = [code for code in codes if code != 0]
    say(f"{'FAILED' if bad else 'all tests passed'} in {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


def on_cluster(folders: list[str]) -> list[int]:
    """First what may share the cluster, then what must have it alone."""
    found = [path for name in folders for path in lanes.files(f"tests/{name}")]
    shared = [path for path in found if not lanes.is_alone(path)]
    alone = [str(path) for path in found if lanes.is_alone(path)]
    codes = []
    if shared:
        say("the real Kubernetes, side by side")
        codes.append(lanes.Lanes(shared, "--timeout", "900").run(CLUSTER_LANES))
    if alone:
        codes.append(pytest("the real Kubernetes, one alone", *alone, "-s", "--timeout", "900"))
    return codes


def is_up() -> bool:
    """Whether a local cluster runs already."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "status"],
        cwd=stack.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def pytest(title: str, *arguments: str) -> int:
    """One pytest session under a headline."""
    say(title)
    began = time.monotonic()
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--durations=10", *arguments],
        cwd=stack.ROOT,
        check=False,
    ).returncode
    say(f"{title}: {time.monotonic() - began:.0f} s")
    return code


def say(text: str) -> None:
    """A headline."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
