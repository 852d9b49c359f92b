"""Everything before the story: cluster, images, trained models side by side, then the operator.

Called by ``__main__``. Each long job is a process of its own whose lines are shown with its name;
when one fails or the user interrupts, the others are ended. Running it again does only what
changed. It must never restart an operator or gateway whose image is the same.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from tests import stack
from tests.cluster.console import say
from tests.cluster.paths import BUILD, ROOT

from . import digits
from .cluster import DemoError, Kubernetes, folder
from .remaining import FIRST_TIME, Remaining

SYSTEM = "modelfleet-system"
DEPLOYMENTS = {"modelfleet-operator": ("operator",), "modelfleet-gateway": ("agent", "envoy")}
"""Each Deployment with the images whose change must restart it."""
END_SECONDS = 30.0
MUTE = ("use it with:",)


class Job:
    """One process; its standard error is shown line by line, its output kept."""

    def __init__(self, name: str, arguments: Sequence[str], remaining: Remaining) -> None:
        self.name = name
        self._remaining = remaining
        self.lines: list[str] = []
        self._kept: list[str] = []
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=self._show, daemon=True),
            threading.Thread(target=self._keep, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _show(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line)
            if not line.startswith(MUTE):
                told = self.name == "cluster" and self._remaining.hears(line)
                whole = f" (demo: {self._remaining.said()})" if told else ""
                say(f"{self.name:>8} | {line.rstrip()}{whole}")

    def _keep(self) -> None:
        self._kept.extend(self.process.stdout or ())

    def finish(self) -> str:
        """Its output, after it ended; raises DemoError with its last words when it failed."""
        code = self.process.wait()
        for thread in self._threads:
            thread.join()
        if code:
            msg = f"{self.name} ended with code {code}:\n{''.join(self.lines[-10:]).rstrip()}"
            raise DemoError(msg)
        self._remaining.ended(self.name)
        if self.name == "cluster":
            for part in FIRST_TIME:
                self._remaining.ended(part)
        took = time.monotonic() - self._started
        say(f"{self.name:>8} | done in {took:.0f} s; {self._remaining.said()}")
        return "".join(self._kept)


def together(jobs: Mapping[str, Sequence[str]], remaining: Remaining) -> dict[str, str]:
    """Run all at once; gives their outputs, or raises DemoError for the first that failed."""
    running = [Job(name, arguments, remaining) for name, arguments in jobs.items()]
    outputs: dict[str, str] = {}
    try:
        waiting = list(running)
        while waiting:
            ended = [job for job in waiting if job.process.poll() is not None]
            outputs.update({job.name: job.finish() for job in ended})
            waiting = [job for job in waiting if job not in ended]
            time.sleep(0.1)
        return outputs
    finally:
        end(job.process for job in running)


def end(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Ask what still runs to clean up and end."""
    alive = [each for each in processes if each.poll() is None]
    for process in alive:
        process.terminate()
    for process in alive:
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()


def prepare(*, install: bool, remaining: Remaining) -> tuple[Kubernetes, Path]:
    """Cluster, images, models; then the operator and the gateways, ready. Gives models' folder."""
    models = BUILD / "digits"
    jobs = {"cluster": ("tests.cluster", "up")}
    if install:
        jobs["images"] = ("tests.cluster", "images")
    if not is_trained(models):
        say("  digits | training two versions of the classifier")
        jobs["digits"] = ("tests.demo.digits", str(models))
    outputs = together(jobs, remaining)
    stamp(models)
    kubernetes = Kubernetes()
    if install:
        together({"load": ("tests.cluster", "load")}, remaining)
        install_operator(kubernetes, digests(outputs["images"]))
    remaining.ended("install")
    return kubernetes, models


def is_trained(models: Path) -> bool:
    """Whether the folder holds what this code and these libraries make; same bytes each time."""
    mark = models / "made-by"
    return mark.exists() and mark.read_text(encoding="utf-8") == _recipe()


def stamp(models: Path) -> None:
    """Say what made the folder."""
    (models / "made-by").write_text(_recipe(), encoding="utf-8")


def _recipe() -> str:
    content = hashlib.sha256(Path(digits.__file__).read_bytes()).hexdigest()
    names = ("scikit-learn", "skl2onnx", "onnxruntime")
    return "\n".join([content, *(f"{name} {version(name)}" for name in names)])


def digests(output: str) -> dict[str, str]:
    """Digest by image name, from the lines of ``tests.cluster images``."""
    found = {}
    for line in output.splitlines():
        reference, digest, _ = line.split(maxsplit=2)
        found[reference.rsplit("/", 1)[-1].partition(":")[0]] = digest
    return found


def install_operator(kubernetes: Kubernetes, images: Mapping[str, str]) -> None:
    """``kubectl apply -k`` of the local overlay, marked with the images so that new ones start."""
    target = folder() / "install"
    target.mkdir(exist_ok=True)
    kustomization = target / "kustomization.yaml"
    kustomization.write_text(json.dumps(overlay(images), indent=2), encoding="utf-8")
    say(" install | kubectl apply -k manifests/local")
    kubernetes.kubectl("apply", "-k", str(target))
    for name in DEPLOYMENTS:
        kubernetes.kubectl(
            "-n", SYSTEM, "rollout", "status", f"deployment/{name}", stack.timeout(110)
        )
    say(" install | operator and two gateways are ready")


def overlay(images: Mapping[str, str]) -> dict[str, object]:
    """The local overlay, and in each pod template the digests that its images have now."""
    patches = []
    for name, parts in DEPLOYMENTS.items():
        known = ",".join(images[part][:19] for part in parts if part in images)
        template = {"metadata": {"annotations": {"modelfleet.dev/images": known}}}
        patch = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": SYSTEM},
            "spec": {"template": template},
        }
        patches.append({"patch": json.dumps(patch)})
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../../../manifests/local"],
        "patches": patches,
    }
