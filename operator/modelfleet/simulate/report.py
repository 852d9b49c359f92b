"""Outcomes as numbers, tables and pictures.

`modelfleet bench autoscale` prints them. Every metric is the mean over the seeds, with `_min` and
`_max`. Must never leave out a policy that did well.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from modelfleet.simulate.comparison import Case, Draw, Outcome
from modelfleet.simulate.score import Score
from modelfleet.simulate.simulated_service import DAY_SECONDS

if TYPE_CHECKING:
    from rich.table import Table

MIN_SETTING = 16
"""Characters of the column: a setting then takes two lines at most."""
METRICS = (
    "violations_percent",
    "cost_ratio",
    "replica_hours",
    "starts_per_day",
    "peak_replicas",
    "reversals_per_day",
    "bad_minutes_percent",
    "wait_p50_seconds",
    "wait_p99_seconds",
    "cold_requests",
)


def metrics(score: Score, reference: Score) -> dict[str, float]:
    """Return the metrics of one run.

    `cost_ratio` is the cost divided by that of the clairvoyant reference of the same seed.
    """
    days = score.scored_seconds / DAY_SECONDS
    return {
        "violations_percent": score.violations_percent,
        "cost_ratio": score.cost_ratio(reference),
        "replica_hours": score.replica_hours,
        "starts_per_day": score.starts_per_day,
        "peak_replicas": score.peak_replicas,
        "reversals_per_day": score.reversals / days if days else 0.0,
        "bad_minutes_percent": 100 * score.bad_minutes_share,
        "wait_p50_seconds": score.wait_p50_seconds,
        "wait_p99_seconds": score.wait_p99_seconds,
        "cold_requests": score.cold_requests,
    }


def reference_outcome(drawn: Sequence[Draw]) -> Outcome:
    """Return the clairvoyant reference as a row among the others."""
    betas = sorted({d.beta for d in drawn})
    label = "beta " + " ".join(f"{b:g}" for b in betas)
    return Outcome("clairvoyant", "reference", label, tuple(d.reference for d in drawn))


def policy(outcome: Outcome, drawn: Sequence[Draw]) -> dict[str, Any]:
    """Return one policy for the JSON.

    The waits of requests that were never served are null.
    """
    runs = [metrics(s, d.reference) for s, d in zip(outcome.scores, drawn, strict=True)]
    row: dict[str, Any] = {
        "name": outcome.policy,
        "kind": outcome.kind,
        "setting": outcome.setting,
    }
    for name in METRICS:
        values = [r[name] for r in runs]
        row[name] = _finite(sum(values) / len(values))
        row[f"{name}_min"], row[f"{name}_max"] = _finite(min(values)), _finite(max(values))
    row["seeds"] = [
        {"seed": d.seed, **{k: _finite(v) for k, v in r.items()}}
        for d, r in zip(drawn, runs, strict=True)
    ]
    row["curve"] = [
        {
            "setting": p.setting,
            "violations_percent": p.violations_percent,
            "cost_ratio": _finite(p.cost_ratio),
        }
        for p in outcome.curve
    ]
    return row


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def document(case: Case, drawn: Sequence[Draw], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return everything that was measured, for JSON, table and picture."""
    service = case.models[0].service
    return {
        "trace": case.name,
        "models": len(case.models),
        "startup_seconds": service.startup_seconds,
        "wait_seconds": service.wait_seconds,
        "slots": service.slots,
        "service_seconds": service.service_seconds,
        "service_cv": service.service_cv,
        "startup_cv": service.startup_cv,
        "drift": service.drift,
        "aim_percent": 100 * case.aim,
        "skip_seconds": case.skip_seconds,
        "scored_minutes": int(sum(m.scored.sum() for m in case.models)),
        "least_replicas": case.least,
        "seeds": list(case.seeds),
        "policies": [policy(o, drawn) for o in (reference_outcome(drawn), *outcomes)],
    }


def write_json(path: Path, measured: dict[str, Any]) -> None:
    """Write one JSON file; keys keep the order in which they were added."""
    path.write_bytes(orjson.dumps(measured, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def fitting(measured: dict[str, Any], most: int, width: int) -> "Table":
    """Return the fullest table that a terminal of `width` characters shows whole.

    First the spreads move below their numbers. Then the least important columns are left out.
    `most` is the cap of each model's replicas.
    """
    from rich.console import Console

    # A wide console: no table is wider than 1000 characters.
    console = Console(width=1000)
    for left_out in SPARED:
        candidate = table(measured, most, left_out)
        if console.measure(candidate).minimum <= width:
            break
    return candidate


def table(measured: dict[str, Any], most: int, left_out: frozenset[str] | None = None) -> "Table":
    """Return the policies as a table: first those that meet the aim, the cheapest first.

    `most` is the cap of each model's replicas. `left_out` names columns that are not shown; the
    spreads then stand below their numbers.
    """
    from rich.table import Table
    from rich.text import Text

    aim = measured["aim_percent"]
    # As `Text`: file names may look like markup.
    title = f"{measured['trace']}: at most {aim:g} % wait over {measured['wait_seconds']:g} s"
    shown = Table(title=Text(title, "table.title"), caption=_caption(measured, most))
    shown.add_column("policy", no_wrap=True)
    shown.add_column("setting", min_width=MIN_SETTING)
    rows = sorted(measured["policies"], key=lambda r: _rank(r, aim))
    columns = []
    for head, cell in CELLS.items():
        if head not in (left_out or ()):
            below = " (" if left_out is None else "\n("
            texts = [cell(row).replace(" (", below) for row in rows]
            # A width in characters: without it, a table may break a line at every space.
            widest = max(len(line) for text in (head, *texts) for line in text.split("\n"))
            shown.add_column(head, justify="right", no_wrap=True, min_width=widest)
            columns.append(texts)
    for row, *cells in zip(rows, *columns, strict=True):
        meets_aim = row["violations_percent"] <= aim
        style = "bold" if row["kind"] == "shipped" else "" if meets_aim else "dim"
        shown.add_row(Text(row["name"]), Text(row["setting"]), *cells, style=style)
    return shown


def _caption(measured: dict[str, Any], most: int) -> str | None:
    """Return the policies that missed the aim because of the simulation's own cap."""
    aim = measured["aim_percent"]
    capped = [
        row["name"]
        for row in measured["policies"]
        if row["violations_percent"] > aim and row["peak_replicas_max"] >= most
    ]
    if not capped:
        return None
    return (
        f"{', '.join(dict.fromkeys(capped))}: reached the most replicas that are simulated"
        f" ({most:,}); the aim needs more replicas"
    )


def _rank(row: dict[str, Any], aim: float) -> tuple[bool, bool, float]:
    misses_aim = row["violations_percent"] > aim
    ratio = row["cost_ratio"]
    return row["kind"] != "reference", misses_aim, row["replica_hours"] if ratio is None else ratio


def _spread(row: dict[str, Any], name: str, digits: int) -> str:
    low, high = row[f"{name}_min"], row[f"{name}_max"]
    if row[name] is None:
        return "-"
    text = f"{row[name]:.{digits}f}"
    if f"{low:.{digits}f}" == f"{high:.{digits}f}":
        return text
    return f"{text} ({low:.{digits}f}-{high:.{digits}f})"


def _wait(row: dict[str, Any]) -> str:
    return "never" if row["wait_p99_seconds"] is None else f"{row['wait_p99_seconds']:.1f}"


CELLS: dict[str, Callable[[dict[str, Any]], str]] = {
    "violated %": lambda row: _spread(row, "violations_percent", 2),
    "cost ratio": lambda row: _spread(row, "cost_ratio", 3),
    "replica-h": lambda row: f"{row['replica_hours']:.0f}",
    "starts/day": lambda row: f"{row['starts_per_day']:.0f}",
    "peak": lambda row: f"{row['peak_replicas']:.0f}",
    "p99 wait s": _wait,
}
SPARED = (
    None,
    frozenset[str](),
    frozenset({"p99 wait s"}),
    frozenset({"p99 wait s", "starts/day"}),
    frozenset({"p99 wait s", "starts/day", "replica-h"}),
    frozenset({"p99 wait s", "starts/day", "replica-h", "peak"}),
)
"""Columns that are left out, in steps: a narrower terminal loses more of them.

Policy, setting, violations and cost always stay."""
