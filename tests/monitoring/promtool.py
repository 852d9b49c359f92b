"""Prometheus' own judge of rules, queries and expositions; its Debian package is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cluster.native import packages

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "charts" / "modelfleet" / "files" / "monitoring"
RULES = MONITORING / "rules.yaml"


def promtool(*arguments: str | Path, given: str | None = None) -> tuple[int, str]:
    """Run it; returns its exit code and all that it prints."""
    packages.ensure({"promtool": "prometheus"})
    program = packages.program("promtool")
    assert program is not None, "the Debian package prometheus has no promtool"
    done = subprocess.run(
        [program, *map(str, arguments)], input=given, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr
