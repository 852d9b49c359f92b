"""Compiles Argo CD from its Go module, once for each version, into the user's cache directory.

About six minutes on two free cores. The go.mod is Argo CD's own with another module line: its
`replace` lines count only in the main module.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from tests.cluster.console import run, run_long
from tests.cluster.locks import exclusive
from tests.cluster.native import packages
from tests.cluster.paths import cache

VERSION = "3.2.11"
"""Later ones replace a nested module that no module proxy serves."""
MODULE = "github.com/argoproj/argo-cd/v3"
SOURCE = Path(__file__).parent / "program"
PROGRAMS = ("argocd-application-controller", "argocd-repo-server", "argocd-git-ask-pass")
REDIS = {"redis-server": "redis-server"}
FLAGS = f"-s -w -X {MODULE}/common.version={VERSION}"


def argocd() -> Path:
    """Give the folder with the programs, Argo CD's CRDs and its configuration."""
    packages.ensure(REDIS)
    target = cache() / f"argocd-{VERSION}"
    with exclusive(target.parent / f".{target.name}.lock"):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                fresh = Path(scratch) / "result"
                fresh.mkdir()
                _compile(Path(scratch), fresh)
                fresh.replace(target)
    return target


def _compile(scratch: Path, fresh: Path) -> None:
    work = scratch / "work"
    work.mkdir()
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -buildvcs=false"}
    told = run(["go", "mod", "download", "-json", f"{MODULE}@v{VERSION}"], cwd=work)
    upstream = Path(json.loads(told)["Dir"])
    shutil.copy(SOURCE / "main.go", work)
    shutil.copyfile(upstream / "go.sum", work / "go.sum")
    text = re.sub(
        r"^module .*$",
        "module modelfleet.dev/argocd",
        (upstream / "go.mod").read_text(),
        flags=re.MULTILINE,
    )
    (work / "go.mod").write_text(f"{text}\nrequire {MODULE} v{VERSION}\n")
    run_long(
        ["go", "build", "-v", "-trimpath", "-ldflags", FLAGS, "-o", str(fresh / "argocd"), "."],
        title=f"compiling Argo CD {VERSION} (once; some minutes)",
        describe=lambda count: f"{count} of about 1,700 packages compiled",
        environment=environment,
        cwd=work,
    )
    for name in PROGRAMS:
        (fresh / name).symlink_to("argocd")
    for folder in ("crds", "base/config"):
        shutil.copytree(upstream / "manifests" / folder, fresh / "manifests" / folder)
