"""Pictures of a benchmark and of a run.

The extra 'plot' (matplotlib) is required. Must never be imported by a module that works without
pictures.
"""

from pathlib import Path
from typing import Any

from modelfleet.simulate.trace import Floats

MIN_PERCENT = 0.01
"""Value in percent that a logarithmic axis shows for no violation at all."""
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#882255")
OURS = "#d62728"
MIN_RATIO = 0.9
"""Left edge: only a policy that misses the aim is cheaper than the clairvoyant reference."""


def figure(width: float, height: float) -> Any:
    """Return an empty figure of this size in inches; raises ImportError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as fault:
        message = "pictures need matplotlib: install the extra, 'modelfleet[plot]'"
        raise ImportError(message) from fault
    return Figure(figsize=(width, height), layout="constrained")


def plot_policies(measured: dict[str, Any], path: Path) -> None:
    """Draw violations (log) over cost ratio into `path`.

    Each peer has a curve, and points for its default and its best setting.
    """
    picture = figure(8, 5.5)
    axes = picture.add_subplot()
    names = sorted({p["name"] for p in measured["policies"] if p["kind"] in {"default", "best"}})
    colours = dict(zip(names, COLOURS, strict=False))
    # A row has no ratio where the reference costs nothing.
    rows = [row for row in measured["policies"] if row["cost_ratio"] is not None]
    within_aim = [
        row["cost_ratio"] for row in rows if row["violations_percent"] <= measured["aim_percent"]
    ]
    edge = 1.15 * sorted([2.0, *within_aim])[(len(within_aim) + 1) * 3 // 4]
    # Some peers have only a default.
    best = {row["name"] for row in rows if row["kind"] == "best"}
    for row in rows:
        colour = colours.get(row["name"], OURS if row["kind"] == "shipped" else "black")
        is_named = row["kind"] != "default" or row["name"] not in best
        axes.plot(
            row["cost_ratio"],
            max(row["violations_percent"], MIN_PERCENT),
            {"default": "x", "shipped": "*", "reference": "D"}.get(row["kind"], "o"),
            color=colour,
            markersize=14 if row["kind"] == "shipped" else 7,
            label=_label(row, edge) if is_named else None,
            zorder=3,
        )
        _curve(axes, row, colour)
    axes.axhline(measured["aim_percent"], color="grey", linestyle=":", linewidth=1)
    axes.set(
        yscale="log",
        xlim=(MIN_RATIO, edge),
        xlabel="cost / cost of the clairvoyant reference",
        ylabel=f"requests that waited over {measured['wait_seconds']:g} s, %",
    )
    # Without math text: a dollar sign in a name does not begin a formula.
    title = f"{measured['trace']} (o best in hindsight, x default, dotted: the aim)"
    axes.set_title(title, parse_math=False)
    axes.legend(fontsize=8, ncols=2)
    axes.grid(visible=True, which="major", alpha=0.25)
    picture.savefig(path, dpi=130)


def _label(row: dict[str, Any], edge: float) -> str:
    """Return the name of a row, with its ratio where the point lies outside the picture."""
    ratio = row["cost_ratio"]
    if MIN_RATIO <= ratio <= edge:
        return str(row["name"])
    return f"{row['name']} (outside, at {ratio:.2f})"


def _curve(axes: Any, row: dict[str, Any], colour: str) -> None:
    """Draw lines through the settings of equal window, which differ only in the target."""
    windows: dict[str, list[tuple[float, float]]] = {}
    for point in row["curve"]:
        if point["cost_ratio"] is None:
            continue
        key = point["setting"].split(",")[-1]
        at = (point["cost_ratio"], max(point["violations_percent"], MIN_PERCENT))
        windows.setdefault(key, []).append(at)
    for points in windows.values():
        axes.plot(*zip(*points, strict=True), "-", color=colour, linewidth=1, alpha=0.6)


def plot_run(rates: Floats, replicas: Floats, title: str, path: Path) -> None:
    """Draw requests per second above replicas into `path`, both by minute."""
    picture = figure(9, 5)
    above, below = picture.subplots(2, 1, sharex=True)
    hours = [minute / 60 for minute in range(len(rates))]
    above.plot(hours, rates, linewidth=0.8, color="#4477aa")
    above.set(ylabel="requests/s")
    above.set_title(title, parse_math=False)
    below.step(hours, replicas, where="post", linewidth=0.8, color=OURS)
    below.set(xlabel="hours", ylabel="replicas")
    for axes in (above, below):
        axes.grid(visible=True, alpha=0.25)
        axes.set_ylim(bottom=0)
    picture.savefig(path, dpi=130)
