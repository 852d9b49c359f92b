"""``python -m tests.demo.picture``: draw the last run of the demo, for the README.

Reads ``build/demo-timeline.json`` that the demo writes; writes ``docs/pictures/demo.png``. It must
never smooth, fill or leave out a point.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIMELINE = ROOT / "build" / "demo-timeline.json"
PICTURE = ROOT / "docs" / "pictures" / "demo.png"


def main() -> int:
    """Draw; returns the exit code."""
    if not TIMELINE.exists():
        print("no run of the demo to draw: run `make demo` first", file=sys.stderr)
        return 2
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    points: list[dict[str, Any]] = json.loads(TIMELINE.read_text())
    seconds = [p["seconds"] for p in points]
    versions = sorted({name for p in points for name in p["ready"]})
    figure, axes = plt.subplots(3, 1, figsize=(10, 6.4), sharex=True)
    axes[0].step(seconds, [p["sent"] for p in points], color="#333333", where="post")
    axes[0].set_ylabel("requests/s")
    failed = points[-1]["failed"]
    figure.suptitle(f"make demo: one run, {failed} failed requests", x=0.08, ha="left")
    ready = [[p["ready"].get(name, 0) for p in points] for name in versions]
    axes[1].stackplot(
        seconds, ready, labels=versions, step="post", colors=["#4878cf", "#6acc65", "#d65f5f"]
    )
    axes[1].set_ylabel("ready replicas")
    axes[1].legend(loc="center right", fontsize=8)
    late = [p["p95_ms"] if p["sent"] else None for p in points]
    axes[2].plot(seconds, [x or float("nan") for x in late], ".", markersize=3, color="#b47cc7")
    axes[2].set_ylim(bottom=0)
    axes[2].set_ylabel("p95, ms")
    axes[2].set_xlabel("seconds")
    begun: dict[str, float] = {}
    for point in points:
        begun.setdefault(point["phase"], point["seconds"])
    for phase, at in begun.items():
        for axis in axes:
            axis.axvline(at, color="#bbbbbb", linewidth=0.6)
        name = phase.split(":")[0]
        top = axes[0].get_ylim()[1]
        axes[0].text(at, top * 1.04, name, fontsize=8, rotation=25, va="bottom", clip_on=False)
    figure.subplots_adjust(left=0.08, right=0.98, top=0.82, bottom=0.09, hspace=0.12)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
