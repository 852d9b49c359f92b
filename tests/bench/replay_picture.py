"""The picture of `replay`: rates above, replicas of the real run and of the simulator below.

`python -m tests.bench.replay_picture` draws the last run again. It must never smooth, fill or
leave out a point.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.stack import ROOT

PICTURE = ROOT / "docs" / "pictures" / "replay.png"
BIN_SECONDS = 5
REAL, SIMULATED, RATE = "#1b6ca8", "#d1495b", "#555555"


def draw(found: dict[str, Any]) -> None:
    """Draw one run."""
    from matplotlib.figure import Figure  # slow import

    figure = Figure(figsize=(10, 5.6))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
    _rates(above, found)
    _replicas(below, found)
    figures = found["figures"]
    figure.suptitle(
        "An hour of LLM conversations in ten minutes: real cluster and simulator",
        x=0.07,
        y=0.975,
        ha="left",
        fontsize=13,
    )
    figure.text(0.07, 0.925, _words(figures), fontsize=9, color="#333333", va="top")
    figure.subplots_adjust(left=0.07, right=0.985, top=0.835, bottom=0.09, hspace=0.1)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)


def _words(figures: dict[str, Any]) -> str:
    return (
        f"{figures['requests']:,} requests, {figures['failed']} failed.   Over the objective of 1 s"
        f" ({figures['allowed_percent']} % allowed): {figures['over_objective_percent_real']:.2f} %"
        f" real, {figures['over_objective_percent_simulated']:.2f} % simulated.\n"
        f"Replica-seconds: {figures['replica_seconds_real']:,} real,"
        f" {figures['replica_seconds_simulated']:,} simulated.   Ready replicas differ by"
        f" {figures['mean_difference_of_ready_replicas']:.2f} in the mean."
    )


def _rates(axes: Any, found: dict[str, Any]) -> None:
    due = np.array([one[0] for one in found["real"]["requests"]])
    edges = np.arange(0.0, found["seconds"] + BIN_SECONDS, BIN_SECONDS)
    counts, _ = np.histogram(due, edges)
    axes.stairs(counts / BIN_SECONDS, edges / 60, color=RATE, linewidth=1.2)
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.25)


def _replicas(axes: Any, found: dict[str, Any]) -> None:
    for points, colour, name in (
        (found["points"], REAL, "real"),
        (found["simulated"]["points"], SIMULATED, "simulated"),
    ):
        minutes = [p["seconds"] / 60 for p in points]
        for what, line, width in (("wanted", ":", 1.3), ("ready", "-", 1.9)):
            axes.step(
                minutes,
                [p[what] for p in points],
                where="post",
                color=colour,
                linestyle=line,
                linewidth=width,
                label=f"{what}, {name}",
            )
    axes.set_ylabel("replicas")
    axes.set_xlabel("minutes")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, found["seconds"] / 60)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="lower right", ncols=2, fontsize=9)


if __name__ == "__main__":
    draw(json.loads((ROOT / "build" / "replay.json").read_text()))
