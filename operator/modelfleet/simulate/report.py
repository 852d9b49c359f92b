"""Outcomes as numbers, tables and pictures.

Called by `modelfleet bench autoscale`. Every metric is the mean over the seeds with `_min` and
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
"""Characters, so that a setting takes two lines at most."""
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
    """The metrics of one run; `cost_ratio` is to the clairvoyant reference of the same seed."""
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
    """The clairvoyant reference as a row among the others."""
    betas = sorted({d.beta for d in drawn})
    label = "beta " + " ".join(f"{b:g}" for b in betas)
    return Outcome("clairvoyant", "reference", label, tuple(d.reference for d in drawn))


def policy(outcome: Outcome, drawn: Sequence[Draw]) -> dict[str, Any]:
    """One policy for the JSON; waits of requests that were never served are null."""
    runs = [metrics(s, d.reference) for s, d in zip(outcome.scores, drawn, strict=True)]
    found: dict[str, Any] = {
        "name": outcome.policy,
        "kind": outcome.kind,
        "setting": outcome.setting,
    }
    for name in METRICS:
        values = [r[name] for r in runs]
        found[name] = _finite(sum(values) / len(values))
        found[f"{name}_min"], found[f"{name}_max"] = _finite(min(values)), _finite(max(values))
    found["seeds"] = [
        {"seed": d.seed, **{k: _finite(v) for k, v in r.items()}}
        for d, r in zip(drawn, runs, strict=True)
    ]
    found["curve"] = [
        {
            "setting": p.setting,
            "violations_percent": p.violations_percent,
            "cost_ratio": _finite(p.cost_ratio),
        }
        for p in outcome.curve
    ]
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def document(case: Case, drawn: Sequence[Draw], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything that was measured."""
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


def write_json(path: Path, found: dict[str, Any]) -> None:
    """One file, keys in the order in which they were made."""
    path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def fitting(found: dict[str, Any], most: int, width: int) -> "Table":
    """The fullest table that a terminal of `width` shows whole; `most` as in `table`.

    First the spreads go below their numbers, then the columns that matter least are left out.
    """
    from rich.console import Console

    # Of unlimited width: what is measured is never wider than the console.
    console = Console(width=1000)
    for left_out in SPARED:
        made = table(found, most, left_out)
        if console.measure(made).minimum <= width:
            break
    return made


def table(found: dict[str, Any], most: int, left_out: frozenset[str] | None = None) -> "Table":
    """The policies, those that keep the promise first, the cheapest first among them.

    `most` is the cap of each model's replicas. With `left_out`, columns that are not shown,
    spreads stand below their numbers.
    """
    from rich.table import Table
    from rich.text import Text

    aim = found["aim_percent"]
    # As `Text`: names of files may look like markup.
    title = f"{found['trace']}: at most {aim:g} % wait over {found['wait_seconds']:g} s"
    made = Table(title=Text(title, "table.title"), caption=_caption(found, most))
    made.add_column("policy", no_wrap=True)
    made.add_column("setting", min_width=MIN_SETTING)
    rows = sorted(found["policies"], key=lambda r: _rank(r, aim))
    columns = []
    for head, cell in CELLS.items():
        if head not in (left_out or ()):
            below = " (" if left_out is None else "\n("
            texts = [cell(row).replace(" (", below) for row in rows]
            # Said in characters, as a table takes every space for a place to break.
            widest = max(len(line) for text in (head, *texts) for line in text.split("\n"))
            made.add_column(head, justify="right", no_wrap=True, min_width=widest)
            columns.append(texts)
    for row, *cells in zip(rows, *columns, strict=True):
        is_kept = row["violations_percent"] <= aim
        style = "bold" if row["kind"] == "shipped" else "" if is_kept else "dim"
        made.add_row(Text(row["name"]), Text(row["setting"]), *cells, style=style)
    return made


def _caption(found: dict[str, Any], most: int) -> str | None:
    """Whom the simulation's own cap kept from keeping the promise."""
    aim = found["aim_percent"]
    capped = [
        row["name"]
        for row in found["policies"]
        if row["violations_percent"] > aim and row["peak_replicas_max"] >= most
    ]
    if not capped:
        return None
    return (
        f"{', '.join(dict.fromkeys(capped))}: reached the most replicas that are simulated"
        f" ({most:,}); the promise could not be kept within them"
    )


def _rank(row: dict[str, Any], aim: float) -> tuple[bool, bool, float]:
    is_broken = row["violations_percent"] > aim
    ratio = row["cost_ratio"]
    return row["kind"] != "reference", is_broken, row["replica_hours"] if ratio is None else ratio


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
"""Columns that are left out, the narrower the terminal the more. Policy, setting, violations and
cost always stay."""
