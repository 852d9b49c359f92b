"""The real Helm, as a user runs it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "modelfleet"
LOCAL_VALUES = Path(__file__).with_name("local-values.yaml")
RELEASE, NAMESPACE = "modelfleet", "modelfleet-system"
HELM = os.environ.get("HELM", str(Path(sys.executable).with_name("helm")))
"""Helm 3 of the environment; HELM names another one, such as Helm 4."""


@functools.cache
def major() -> int:
    """3 or 4."""
    return int(helm("version", "--short").removeprefix("v").split(".")[0])


class HelmError(RuntimeError):
    """Raised with Helm's words."""


def helm(*arguments: str, given: str | None = None) -> str:
    """Run Helm; returns what it prints."""
    done = subprocess.run(
        [HELM, *arguments], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip()[-3000:])
    return done.stdout


def rendered(values: dict[str, Any] | None = None, *, tests: bool = False) -> list[dict[str, Any]]:
    """The objects of the chart for these values."""
    more = [] if tests else ["--skip-tests"]
    text = helm(
        *("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-", *more),
        given=json.dumps(values or {}),
    )
    return [item for item in yaml.safe_load_all(text) if item]
