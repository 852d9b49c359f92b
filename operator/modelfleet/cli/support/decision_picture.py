"""Picture of a model's decisions.

`explain --plot` draws the picture with the extra 'plot' (matplotlib). Three panels share one axis
of time. A band shows which term decided the replicas. Must never show a number that was not
recorded: gaps stay gaps.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.cli.support.decision_history import REASONS, Decisions
from modelfleet.simulate.plot import COLOURS, figure

if TYPE_CHECKING:
    from modelfleet.cli.support.prometheus_series import Column

MAX_MARKS = 60
"""Most changes of the reason that get lines of their own; if there are more, none gets a line."""
SLOTS = (
    ("keep", "forecast that keeps replicas", "#cc99bb", "-", 1.2),
    ("start", "forecast that starts replicas", "#d62728", "-", 0.9),
    ("floor", "share of the recent peak (floor)", "#228833", "--", 1.0),
    ("cap", "limit from the day's highest demand (cap)", "#555555", ":", 1.2),
    ("backlog", "for requests that wait (backlog)", "#ccbb44", "-", 1.0),
)


def draw_picture(history: Decisions, path: Path) -> None:
    """Write the picture of a model's decisions; the ending of `path` is the format."""
    picture = figure(12, 9)
    heights = {"height_ratios": [3.2, 2.4, 0.35, 1.3]}
    slots, replicas, band, dial = picture.subplots(4, 1, sharex=True, gridspec_kw=heights)
    times = [_moment(history, index) for index in range(history.span.size)]
    _slots(slots, times, history)
    _replicas(replicas, times, history)
    _band(band, history)
    _dial(dial, times, history)
    _mark(history.bound(), times, (slots, replicas))
    for axes in (slots, replicas, dial):
        axes.grid(visible=True, alpha=0.25)
    for axes, location, at in (
        *((slots, "upper left", 1.02), (replicas, "upper left", 1.02)),
        *((band, "center left", 0.5), (dial, "lower left", -0.05)),
    ):
        if not axes.get_legend_handles_labels()[0]:
            continue
        legend = axes.legend(loc=location, bbox_to_anchor=(1.005, at), fontsize=8, frameon=False)
        # Outside of the layout: this legend is higher than its band and would spread the panels.
        legend.set_in_layout(axes is not band)
    slots.set_title(f"{history.title}: decisions of the autoscaler", loc="left")
    dial.set_xlabel(f"time (UTC), {times[0]:%Y-%m-%d %H:%M} to {times[-1]:%Y-%m-%d %H:%M}")
    _dates(dial)
    picture.savefig(path, dpi=130)


def _dates(axes: Any) -> None:
    from matplotlib import dates

    # `Any`: matplotlib.dates has no types.
    kinds: Any = dates
    locator = kinds.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(kinds.ConciseDateFormatter(locator))


def _slots(axes: Any, times: list[datetime], history: Decisions) -> None:
    columns = history.columns
    axes.fill_between(
        times, columns["load"], step="post", color="#4477aa", alpha=0.35, label="load"
    )
    for name, label, colour, line, width in SLOTS:
        if np.nanmax(np.nan_to_num(columns[name])) > 0:
            options = {"color": colour, "linestyle": line, "linewidth": width}
            axes.step(times, columns[name], where="post", label=label, **options)
    # The cap lies far above all other lines: the panel shows it only where it comes near them.
    high = max(np.nan_to_num(columns[name]).max() for name in ("load", "start", "keep", "backlog"))
    axes.set_ylim(0, 1.15 * max(high, 1e-3))
    axes.set_ylabel("busy request slots")


def _replicas(axes: Any, times: list[datetime], history: Decisions) -> None:
    columns = history.columns
    options = {"where": "post", "linewidth": 1.4}
    axes.step(times, columns["granted"], color="#d62728", label="granted", **options)
    axes.fill_between(
        times, columns["ready"], step="post", color="#228833", alpha=0.35, label="ready"
    )
    high = max(np.nan_to_num(columns[name]).max() for name in ("granted", "ready"))
    for name, label in (("least", "minReplicas"), ("most", "maxReplicas")):
        if np.nanmin(np.nan_to_num(columns[name], nan=np.inf)) <= 1.5 * high + 1:
            axes.step(times, columns[name], where="post", color="#555555", linewidth=0.9,
                      linestyle="--" if name == "least" else ":", label=label)  # fmt: skip
    axes.set_ylim(0, 1.15 * high + 0.5)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("replicas")


def _band(axes: Any, history: Decisions) -> None:
    """Draw one colour for each reason; the legend names only the reasons that occur."""
    from matplotlib import dates

    kinds: Any = dates
    bound, span = history.bound(), history.span
    for number, reason in enumerate(REASONS):
        edges = np.flatnonzero(np.diff(np.pad(bound == number, 1).astype(np.int8)))
        runs = [
            (kinds.date2num(_moment(history, begin)), (end - begin) * span.step / 86_400)
            for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ]
        if runs:
            axes.broken_barh(runs, (0, 1), color=COLOURS[number], linewidth=0, label=reason)
    axes.set(yticks=[], ylim=(0, 1))
    axes.set_ylabel("decided by", rotation=0, ha="right", va="center")


def _moment(history: Decisions, index: int) -> datetime:
    return datetime.fromtimestamp(history.span.begin + index * history.span.step, UTC)


def _dial(axes: Any, times: list[datetime], history: Decisions) -> None:
    columns = history.columns
    lines = [
        ("aim", "late requests that the budget allows", 100.0, "#4477aa", "%"),
        ("risk", "risk taken that demand is higher", 100.0, "#d62728", "%"),
    ]
    for name, label, factor, colour, unit in lines:
        if not np.isnan(columns[name]).all():
            axes.step(
                times, factor * columns[name], where="post", color=colour, label=f"{label}, {unit}"
            )
    axes.set(yscale="log", ylabel="error budget\nand risk")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="both", labelsize=8)


def _mark(bound: "Column", times: list[datetime], panels: tuple[Any, ...]) -> None:
    """Draw a thin line at each change of the reason."""
    reasons = np.nan_to_num(bound, nan=-1.0)
    changed = np.flatnonzero(np.diff(reasons)) + 1
    if len(changed) > MAX_MARKS:
        return
    for index in changed.tolist():
        for axes in panels:
            axes.axvline(times[index], color="black", linewidth=0.5, alpha=0.35)
