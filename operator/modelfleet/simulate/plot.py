"""Pictures of a benchmark and of a run. Needs the extra 'plot' (matplotlib).

Called by the command line. Must never be imported by anything that can do without it.
"""

from pathlib import Path
from typing import Any

from modelfleet.simulate.trace import Floats

LEAST_PERCENT = 0.01
"""What a logarithmic axis shows for no violation at all."""
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#882255")
OURS = "#d62728"


def figure(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as fault:
        message = "pictures need matplotlib: install the extra, 'modelfleet[plot]'"
        raise ImportError(message) from fault
    return Figure(figsize=(width, height), layout="constrained")


def plot_policies(found: dict[str, Any], path: Path) -> None:
    """Violations (log) over cost ratio: a curve for each peer, points for default and best."""
    made = figure(8, 5.5)
    axes = made.add_subplot()
    names = sorted({p["name"] for p in found["policies"] if p["kind"] in {"default", "best"}})
    colours = dict(zip(names, COLOURS, strict=False))
    kept = [2.0]
    for row in found["policies"]:
        colour = colours.get(row["name"], OURS if row["kind"] == "shipped" else "black")
        is_named = row["kind"] != "default"
        axes.plot(
            row["cost_ratio"],
            max(row["violations_percent"], LEAST_PERCENT),
            {"default": "x", "shipped": "*", "reference": "D"}.get(row["kind"], "o"),
            color=colour,
            markersize=14 if row["kind"] == "shipped" else 7,
            label=row["name"] if is_named else None,
            zorder=3,
        )
        if row["violations_percent"] <= found["aim_percent"]:
            kept.append(row["cost_ratio"])
        _curve(axes, row, colour)
    axes.axhline(found["aim_percent"], color="grey", linestyle=":", linewidth=1)
    axes.set(
        yscale="log",
        xlim=(0.9, 1.15 * sorted(kept)[len(kept) * 3 // 4]),
        xlabel="cost / cost of the clairvoyant reference",
        ylabel=f"requests that waited over {found['wait_seconds']:g} s, %",
        title=f"{found['trace']} (o best in hindsight, x default, dotted: the aim)",
    )
    axes.legend(fontsize=8, ncols=2)
    axes.grid(visible=True, which="major", alpha=0.25)
    made.savefig(path, dpi=130)


def _curve(axes: Any, row: dict[str, Any], colour: str) -> None:
    """Lines through the settings of equal window, which differ in the target only."""
    windows: dict[str, list[tuple[float, float]]] = {}
    for point in row["curve"]:
        key = point["setting"].split(",")[-1]
        at = (point["cost_ratio"], max(point["violations_percent"], LEAST_PERCENT))
        windows.setdefault(key, []).append(at)
    for points in windows.values():
        axes.plot(*zip(*points, strict=True), "-", color=colour, linewidth=1, alpha=0.6)


def plot_run(rates: Floats, replicas: Floats, title: str, path: Path) -> None:
    """Requests per second above replicas, both by minute."""
    made = figure(9, 5)
    above, below = made.subplots(2, 1, sharex=True)
    hours = [minute / 60 for minute in range(len(rates))]
    above.plot(hours, rates, linewidth=0.8, color="#4477aa")
    above.set(ylabel="requests/s", title=title)
    below.step(hours, replicas, where="post", linewidth=0.8, color=OURS)
    below.set(xlabel="hours", ylabel="replicas")
    for axes in (above, below):
        axes.grid(visible=True, alpha=0.25)
        axes.set_ylim(bottom=0)
    made.savefig(path, dpi=130)
