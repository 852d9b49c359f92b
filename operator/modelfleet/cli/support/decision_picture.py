"""The picture of a model's decisions: needs the extra 'plot' (matplotlib).

Drawn by `explain --plot`. Three panels over one axis of time, and a band that says which term bound
the replicas. Must never show a number that was not told: gaps stay gaps.
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
"""Changes of the reason that get a line of their own; more of them are told by the band alone."""
SLOTS = (
    ("keep", "forecast to keep for", "#cc99bb", "-", 1.2),
    ("start", "forecast to start for", "#d62728", "-", 0.9),
    ("floor", "share of the recent peak (floor)", "#228833", "--", 1.0),
    ("cap", "most that is believed (cap)", "#555555", ":", 1.2),
    ("backlog", "to work off what waits", "#ccbb44", "-", 1.0),
)


def draw_picture(found: Decisions, path: Path) -> None:
    """Write the picture of a model's decisions; the ending of the name says in which format."""
    made = figure(12, 9)
    heights = {"height_ratios": [3.2, 2.4, 0.35, 1.3]}
    slots, replicas, band, dial = made.subplots(4, 1, sharex=True, gridspec_kw=heights)
    times = [_moment(found, place) for place in range(found.span.size)]
    _slots(slots, times, found)
    _replicas(replicas, times, found)
    _band(band, found)
    _dial(dial, times, found)
    _mark(found.bound(), times, (slots, replicas))
    for axes in (slots, replicas, dial):
        axes.grid(visible=True, alpha=0.25)
    for axes, place, at in (
        *((slots, "upper left", 1.02), (replicas, "upper left", 1.02)),
        *((band, "center left", 0.5), (dial, "lower left", -0.05)),
    ):
        if not axes.get_legend_handles_labels()[0]:
            continue
        legend = axes.legend(loc=place, bbox_to_anchor=(1.005, at), fontsize=8, frameon=False)
        # The band is lower than its legend, which would tear the panels apart.
        legend.set_in_layout(axes is not band)
    slots.set_title(f"{found.title}: what its replicas followed", loc="left")
    dial.set_xlabel(f"time (UTC), {times[0]:%Y-%m-%d %H:%M} to {times[-1]:%Y-%m-%d %H:%M}")
    _dates(dial)
    made.savefig(path, dpi=130)


def _dates(axes: Any) -> None:
    from matplotlib import dates

    # It has no types.
    kinds: Any = dates
    locator = kinds.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(kinds.ConciseDateFormatter(locator))


def _slots(axes: Any, times: list[datetime], found: Decisions) -> None:
    of = found.columns
    axes.fill_between(times, of["load"], step="post", color="#4477aa", alpha=0.35, label="load")
    for name, label, colour, line, width in SLOTS:
        if np.nanmax(np.nan_to_num(of[name])) > 0:
            options = {"color": colour, "linestyle": line, "linewidth": width}
            axes.step(times, of[name], where="post", label=label, **options)
    # The cap lies far above everything else: it is shown where it comes near.
    high = max(np.nan_to_num(of[name]).max() for name in ("load", "start", "keep", "backlog"))
    axes.set_ylim(0, 1.15 * max(high, 1e-3))
    axes.set_ylabel("busy request slots")


def _replicas(axes: Any, times: list[datetime], found: Decisions) -> None:
    of = found.columns
    options = {"where": "post", "linewidth": 1.4}
    axes.step(times, of["granted"], color="#d62728", label="granted", **options)
    axes.fill_between(times, of["ready"], step="post", color="#228833", alpha=0.35, label="ready")
    high = max(np.nan_to_num(of[name]).max() for name in ("granted", "ready"))
    for name, label in (("least", "minReplicas"), ("most", "maxReplicas")):
        if np.nanmin(np.nan_to_num(of[name], nan=np.inf)) <= 1.5 * high + 1:
            axes.step(times, of[name], where="post", color="#555555", linewidth=0.9,
                      linestyle="--" if name == "least" else ":", label=label)  # fmt: skip
    axes.set_ylim(0, 1.15 * high + 0.5)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("replicas")


def _band(axes: Any, found: Decisions) -> None:
    """One colour for each reason; only those that occur are in the legend."""
    from matplotlib import dates

    kinds: Any = dates
    bound, span = found.bound(), found.span
    for number, reason in enumerate(REASONS):
        edges = np.flatnonzero(np.diff(np.pad(bound == number, 1).astype(np.int8)))
        runs = [
            (kinds.date2num(_moment(found, begin)), (end - begin) * span.step / 86_400)
            for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ]
        if runs:
            axes.broken_barh(runs, (0, 1), color=COLOURS[number], linewidth=0, label=reason)
    axes.set(yticks=[], ylim=(0, 1))
    axes.set_ylabel("bound by", rotation=0, ha="right", va="center")


def _moment(found: Decisions, place: int) -> datetime:
    return datetime.fromtimestamp(found.span.begin + place * found.span.step, UTC)


def _dial(axes: Any, times: list[datetime], found: Decisions) -> None:
    of = found.columns
    lines = [
        ("aim", "late requests that the budget allows", 100.0, "#4477aa", "%"),
        ("risk", "risk taken that demand is higher", 100.0, "#d62728", "%"),
    ]
    for name, label, factor, colour, unit in lines:
        if not np.isnan(of[name]).all():
            axes.step(
                times, factor * of[name], where="post", color=colour, label=f"{label}, {unit}"
            )
    axes.set(yscale="log", ylabel="error budget\nand risk")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="both", labelsize=8)


def _mark(bound: "Column", times: list[datetime], panels: tuple[Any, ...]) -> None:
    """A thin line where the reason changed."""
    known = np.nan_to_num(bound, nan=-1.0)
    changed = np.flatnonzero(np.diff(known)) + 1
    if len(changed) > MAX_MARKS:
        return
    for place in changed.tolist():
        for axes in panels:
            axes.axvline(times[place], color="black", linewidth=0.5, alpha=0.35)
