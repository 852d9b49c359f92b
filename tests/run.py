"""`make test`: everything from nothing to the last test, with progress.

`python -m tests.run [e2e|faults|FILE]...`. Brings the local Kubernetes and the images up in the
background while the tests without a cluster run, installs the product, runs the rest, and ends
what it started. A cluster that was up before stays up. What may run side by side does, in as many
lanes as two cores can bear; the rest runs alone.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from tests import ground, lanes, speed, stack

NO_CLUSTER = (
    "tests/unit",
    "tests/properties",
    "tests/sequences",
    "tests/house",
    "tests/crds",
    "tests/chart",
    "tests/monitoring",
    "tests/argocd",
)
ON_LOOPBACK = "tests/gateway"
ON_CLUSTER = ("e2e", "faults")
CAMPAIGNS = "campaigns"
"""Their files run only when they are named."""
EACH_CORE = ("-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")
"""Tests without a cluster compute, and share nothing."""
LOOPBACK_LANES, CLUSTER_LANES = 2, 3
"""Tests on the cluster mostly wait for it; those on loopback drive real load."""


class Ground(threading.Thread):
    """Cluster and images, in the background; what it prints goes to the terminal as it comes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.error: ground.GroundError | None = None

    def run(self) -> None:
        try:
            for verb in ("up", "load"):
                ground.verb(verb)
        except ground.GroundError as error:
            self.error = error

    def settled(self) -> None:
        """Wait for it; raises what it ended with."""
        self.join()
        if self.error is not None:
            raise self.error


def main(chosen: list[str]) -> int:
    """Run the tests; returns the exit code."""
    began = time.monotonic()
    files = chosen_files(chosen or list(ON_CLUSTER))
    if not files:
        say(f"choose among {', '.join(ON_CLUSTER)} and the files in their folders: {chosen}")
        return 2
    say(speed.said())
    was_up = ground.is_up()
    rising = Ground()
    rising.start()
    codes = []
    try:
        if not chosen:
            codes.append(pytest("tests without a cluster", *NO_CLUSTER, *EACH_CORE))
            say("the gateway against the real Envoy, on loopback")
            codes.append(lanes.Lanes(lanes.files(ON_LOOPBACK)).run(LOOPBACK_LANES))
        rising.settled()
        say("installing modelfleet: kubectl apply -k manifests/local")
        ground.install()
        codes += on_cluster(files)
    except ground.GroundError as error:
        say(str(error))
        return 1
    finally:
        if not was_up:
            ground.down()
    bad = [code for code in codes if code != 0]
    say(f"{'FAILED' if bad else 'all tests passed'} in {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


def chosen_files(chosen: list[str]) -> list[Path]:
    """Test files of the folders and files that were named; none where a name is wrong."""
    found = []
    for name in chosen:
        file = stack.ROOT / name
        of_cluster = file.is_file() and file.parent.name in (*ON_CLUSTER, CAMPAIGNS)
        more = lanes.files(f"tests/{name}") if name in ON_CLUSTER else [file] * of_cluster
        if not more:
            return []
        found += more
    return found


def on_cluster(found: list[Path]) -> list[int]:
    """First what may share the cluster, then what must have it alone."""
    shared = [path for path in found if not lanes.is_alone(path)]
    alone = [str(path) for path in found if lanes.is_alone(path)]
    codes = []
    if shared:
        say("the real Kubernetes, side by side")
        codes.append(lanes.Lanes(shared, "--timeout", "900").run(CLUSTER_LANES))
    if alone:
        codes.append(pytest("the real Kubernetes, one alone", *alone, "-s", "--timeout", "900"))
    return codes


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
