"""`make test`: everything from nothing to the last test, with progress.

`python -m tests.run [e2e|faults]`. Brings the local Kubernetes and the images up in the
background while the tests without a cluster run, installs the product, runs the rest, and ends
what it started. A cluster that was up before stays up.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from tests import stack

ALONE = (
    "tests/unit",
    "tests/properties",
    "tests/sequences",
    "tests/house",
    "tests/crds",
)
ON_LOOPBACK = ("tests/gateway",)
ON_CLUSTER = ("tests/e2e", "tests/faults")
NO_TESTS = 5


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
            codes.append(pytest("tests without a cluster", *ALONE))
            codes.append(pytest("the gateway against the real Envoy", *ON_LOOPBACK))
        ground.join()
        if ground.error:
            say(ground.error)
            return 1
        say("installing modelfleet: kubectl apply -k manifests/local")
        stack.install()
        folders = [f"tests/{name}" for name in chosen] or list(ON_CLUSTER)
        codes.append(pytest("the real Kubernetes", *folders, "-s", "--timeout", "900"))
    finally:
        if not was_up:
            subprocess.run(
                [sys.executable, "-m", "tests.cluster", "down"], cwd=stack.ROOT, check=False
            )
    bad = [code for code in codes if code != 0]
    say(f"{'FAILED' if bad else 'all tests passed'} in {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


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
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments], cwd=stack.ROOT, check=False
    ).returncode


def say(text: str) -> None:
    """A headline."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
