"""Compile upstream's Kubernetes from Go modules, once for each version and source.

Called by ``cluster`` and the verb ``build``. The result is one file under the user's cache
directory with a link for each program; about four minutes on two cores the first time. A build
that was interrupted leaves no result, and the next one goes on from Go's own cache.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.base import ClusterError
from tests.cluster.console import run, run_long
from tests.cluster.locks import exclusive
from tests.cluster.paths import BIN, cache

from .layout import KWOK_VERSION, VERSION

SOURCE = Path(__file__).parent / "kubernetes"
PROGRAMS = (
    *("certificates", "coredns", "etcd", "forget", "forward", "hold", "kubectl", "kubelet"),
    *("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"),
)
PAUSE = "pause"
# The linker drops debug information: without making it a seventh of the compiling is saved.
NO_DEBUG = "-gcflags=all=-dwarf=false"
PASSED = (
    *((0.0, 0.0), (0.078, 0.041), (0.19, 0.12), (0.23, 0.21), (0.32, 0.29), (0.45, 0.37)),
    *((0.55, 0.45), (0.63, 0.54), (0.75, 0.62), (0.86, 0.7), (0.91, 0.74), (1.0, 1.0)),
)
"""Share of the packages that are compiled, share of the time: the largest come last."""
MIN_PASSED = 0.05
KWOK_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


def linker_flags(version: str) -> str:
    """Without a version inside, kubectl and the kubelet refuse the server."""
    major, minor, _ = version.split(".")
    flags = ["-s", "-w"]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        for name, value in (("Version", f"v{version}"), ("Major", major), ("Minor", minor)):
            flags += ["-X", f"{package}.git{name}={value}"]
    return " ".join(flags)


def source_key() -> str:
    """Give what the result depends on, as a short hash."""
    state = hashlib.sha256(linker_flags(VERSION).encode())
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix in {".go", ".mod", ".sum"}:
            state.update(path.relative_to(SOURCE).as_posix().encode())
            state.update(path.read_bytes())
    return state.hexdigest()[:12]


def is_there() -> bool:
    """Say whether the programs were compiled before."""
    return _target().is_dir()


def _target() -> Path:
    return cache() / f"kubernetes-{VERSION}-{platform.machine()}-{source_key()}"


def kubernetes() -> Path:
    """Give the folder with all programs, compiling them where they are not there yet."""
    target = _target()
    with exclusive(_lock_file(target)):
        if not target.is_dir():
            _compile(target)
    _link_kubectl(target)
    return target


def seconds_left(done: float, elapsed: float) -> float | None:
    """Estimate from the share of the packages that are done; None while it would be a guess."""
    for (share, passed), (next_share, next_passed) in itertools.pairwise(PASSED):
        if share <= done <= next_share:
            part = (done - share) / (next_share - share)
            now = passed + part * (next_passed - passed)
            return None if now < MIN_PASSED else elapsed * (1 - now) / now
    return None


def _compile(target: Path) -> None:
    began = time.monotonic()

    def describe(count: int) -> str:
        left = seconds_left(count / packages, time.monotonic() - began)
        text = f"{count} of at most {packages} packages compiled"
        return text if left is None else f"{text}, about {left:.0f} s left"

    packages = run([_go(), "list", "-deps", "."], cwd=SOURCE).count("\n")
    with _fresh(target) as fresh:
        run_long(
            [
                *(_go(), "build", "-v", "-trimpath", NO_DEBUG, "-ldflags", linker_flags(VERSION)),
                *("-o", str(fresh / "kubernetes"), "."),
            ],
            title=f"compiling Kubernetes {VERSION} (once; some minutes)",
            describe=describe,
            environment=_environment(),
            cwd=SOURCE,
        )
        run_long(
            [
                *(_go(), "build", "-trimpath", NO_DEBUG, "-ldflags", "-s -w"),
                "-o",
                str(fresh),
                "./pause",
            ],
            title="compiling the pause program",
            describe=lambda _: "compiling",
            environment=_environment(),
            cwd=SOURCE,
        )
        for name in PROGRAMS:
            (fresh / name).symlink_to("kubernetes")


def _link_kubectl(programs: Path) -> None:
    BIN.mkdir(parents=True, exist_ok=True)
    link = BIN / "kubectl"
    if link.is_symlink() and link.readlink() == programs / "kubectl":
        return
    link.unlink(missing_ok=True)
    link.symlink_to(programs / "kubectl")


def kwok() -> Path:
    """Give the folder with KWOK and its stages, making it where it is not there yet."""
    target = cache() / f"kwok-{KWOK_VERSION}-{platform.machine()}"
    with exclusive(_lock_file(target)):
        if not target.is_dir():
            with _fresh(target) as fresh:
                _compile_kwok(fresh)
    return target


def _compile_kwok(fresh: Path) -> None:
    run_long(
        [
            *(_go(), "install", "-v", "-trimpath", NO_DEBUG, "-ldflags", "-s -w"),
            f"sigs.k8s.io/kwok/cmd/kwok@v{KWOK_VERSION}",
        ],
        title=f"compiling KWOK {KWOK_VERSION} (once; a minute or two)",
        describe=lambda count: f"{count} packages compiled",
        environment=_environment() | {"GOBIN": str(fresh)},
        cwd=fresh,
    )
    # How a fake node and its pods live is upstream's text too: it comes with the source.
    asked = run([_go(), "mod", "download", "-json", f"sigs.k8s.io/kwok@v{KWOK_VERSION}"], cwd=fresh)
    source = Path(json.loads(asked)["Dir"]) / "kustomize" / "stage"
    texts = [(source / name).read_text(encoding="utf-8") for name in KWOK_STAGES]
    (fresh / "stages.yaml").write_text("\n---\n".join(texts), encoding="utf-8")


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """Give a folder that becomes ``target`` when all went well."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        fresh = Path(scratch) / "result"
        fresh.mkdir()
        yield fresh
        fresh.replace(target)


def _lock_file(target: Path) -> Path:
    return target.parent / f".{target.name}.lock"


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0"}


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        message = "the native cluster is compiled from source: install Go 1.25 or newer"
        raise ClusterError(message)
    return go
