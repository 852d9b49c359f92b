"""The scenarios of the README's autoscaling table, run through `modelfleet bench autoscale`.

`make bench-autoscale` (all peers, an hour and more) or, for our own policy and a static fleet only,
`python -m tests.bench autoscale`. Writes JSON and a picture of each into `build/autoscale`, and
there `table.md` with a row for each scenario that has been run so far.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modelfleet.cli.verbs.bench import bench
from modelfleet.simulate.generate import (
    calendar_bursts,
    flash_crowd,
    idle_fleet,
    seasons,
    steady,
    steps,
)
from modelfleet.simulate.trace import Trace
from tests.stack import ROOT

TRACES = ROOT / "tests" / "traces"
CODE = "azure_llm_2023_code_1s.csv"
SCENARIOS: dict[str, tuple[str, str]] = {
    "deepseek-r1": ("servegen_deepseek-r1_5s.csv.gz", "180 5 16 20 1 0.125 1"),
    "mm-image": ("servegen_mm-image_5s.csv.gz", "120 5 8 6 1 0.125 1"),
    "azure conversation x5": ("azure_llm_2023_conv_1s.csv", "60 2 4 1.75 1 0.00486 5"),
    "azure code x5": (CODE, "60 2 4 1.75 5 0.00486 5"),
    "m-small": ("servegen_m-small_x0.01_5s.csv.gz", "120 5 8 6 1 7 1"),
    "m-large tail": ("servegen_m-large_tail_5s.csv.gz", "120 5 8 4 1 7 1"),
}
"""File; start-up, wait, slots, service seconds, aim in percent, days of history, rate times."""
GENERATED: dict[str, tuple[Callable[[], Trace], str]] = {
    "calendar bursts": (calendar_bursts, "120 5 8 6 1 7 1"),
    "seasons": (seasons, "120 5 8 6 1 7 1"),
    "steps": (steps, "120 5 8 6 1 7 1"),
    "calendar bursts, 3 days": (partial(calendar_bursts, days=3, seed=5), "60 5 4 2 1 1 1"),
    "seasons, 3 days": (partial(seasons, days=3, seed=5), "60 5 4 2 1 1 1"),
    "steps, 3 days": (partial(steps, days=3, seed=5), "60 5 4 2 1 1 1"),
    "steady, 2 days": (steady, "60 0.1 4 2 1 1 1"),
    "flash crowd, 2 days": (flash_crowd, "60 5 4 2 1 1 1"),
}
"""Traces with one property each, for which no public one is at hand."""
FLEETS: dict[str, tuple[Callable[[], Mapping[str, Trace]], str]] = {
    "idle fleet": (lambda: idle_fleet(models=20, days=3), "30 5 4 1 1 1 1"),
}
"""Many small models that may sleep. Service times are those of the trace."""
OPTIONS = (
    "startup-seconds",
    "wait-seconds",
    "slots",
    "service-seconds",
    "aim-percent",
    "skip-days",
)
QUICK = "modelfleet,static"


def run() -> dict[str, Any]:
    """Figures of each scenario; `BENCH_POLICIES` and `BENCH_SEEDS` choose, `BENCH_ONLY` names."""
    folder = ROOT / "build" / "autoscale"
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    policies = os.environ.get("BENCH_POLICIES", QUICK)
    only = os.environ.get("BENCH_ONLY")
    for name, file, values in _scenarios(folder, only):
        target = folder / f"{name.replace(' ', '-')}.json"
        kind = "--fleet" if name in FLEETS else "--trace"
        arguments = ["autoscale", kind, str(file), "--json", str(target)]
        for option, value in zip((*OPTIONS, "rate-times"), values.split(), strict=True):
            arguments += [f"--{option}", value]
        arguments += ["--seeds", os.environ.get("BENCH_SEEDS", "3")]
        arguments += ["--plot", str(target.with_suffix(".png"))]
        arguments += ["--policies", policies]
        if bench(arguments) != 0:
            raise RuntimeError(name)
        for found in json.loads(target.read_text())["policies"]:
            figures[f"{name}: {found['name']} {found['setting']}"] = (
                f"{found['violations_percent']:.2f} % @ {_cost(found):.3f},"
                f" {found['starts_per_day']:.0f} starts a day, peak {found['peak_replicas']:.0f}"
            )
    (folder / "table.md").write_text("\n".join(_table(folder)) + "\n", encoding="utf-8")
    return figures


def _table(folder: Path) -> Iterator[str]:
    yield (
        "| trace; start-up / wait / slots / service time; allowed"
        " | modelfleet (draws) | best peer, tuned | static |"
    )
    yield "|---|---|---|---|"
    for name, (_, values) in {**SCENARIOS, **GENERATED, **FLEETS}.items():
        file = folder / f"{name.replace(' ', '-')}.json"
        if file.exists():
            startup, wait, slots, service, aim, *_ = values.split()
            about = f"{name}; {startup} s / {wait} s / {slots} / {service} s; {aim} %"
            cells = _cells(json.loads(file.read_text()), float(aim))
            yield f"| {about} | {' | '.join(cells)} |"


def _cells(found: Mapping[str, Any], aim: float) -> tuple[str, str, str]:
    """Ours, the cheapest setting of any peer that keeps the promise, and the best static fleet."""
    policies = found["policies"]
    ours = next(policy for policy in policies if policy["name"] == "modelfleet")
    kept = [policy for policy in policies if policy["violations_percent"] <= aim]
    static = min((p for p in kept if p["name"] == "static"), key=_cost, default=None)
    peers = [p for p in kept if p["name"] not in {"clairvoyant", "modelfleet", "static"}]
    best = min(peers, key=_cost, default=None)
    rivals = [_cost(policy) for policy in (static, best) if policy is not None]
    verdict = ""
    if ours["violations_percent"] > aim:
        verdict = ": **too many**"
    elif any(cost < _cost(ours) for cost in rivals):
        verdict = ": **lost**"
    return (
        f"{_figure(ours)} ({len(found['seeds'])}){verdict}",
        f"{best['name']} {_figure(best)}" if best else f"none below {aim:g} %",
        _figure(static) if static else "",
    )


def _figure(policy: Mapping[str, Any]) -> str:
    return f"{policy['violations_percent']:.2f} % @ {_cost(policy):.2f}"


def _cost(policy: Mapping[str, Any]) -> float:
    """Without a number where the reference costs nothing."""
    ratio = policy["cost_ratio"]
    return float("inf") if ratio is None else float(ratio)


def _scenarios(folder: Path, only: str | None) -> Iterator[tuple[str, Path, str]]:
    """Name, file and figures of each; generated traces are written first."""
    for name, (file, values) in SCENARIOS.items():
        if only in (None, "", name):
            yield name, TRACES / file, values
    for name, (make, values) in GENERATED.items():
        if only in (None, "", name):
            target = folder / f"{name.replace(' ', '-')}.csv"
            _write(make(), target)
            yield name, target, values
    for name, (make_fleet, values) in FLEETS.items():
        if only in (None, "", name):
            target = folder / f"{name.replace(' ', '-')}.csv"
            _write_fleet(make_fleet(), target)
            yield name, target, values


def _write_fleet(traces: Mapping[str, Trace], target: Path) -> None:
    rows = sorted(row for model, trace in traces.items() for row in _requests(model, trace))
    with target.open("w", encoding="utf-8") as file:
        file.write("t_seconds,model,execution_seconds\n")
        file.writelines(f"{at:.3f},{model},{seconds:.4f}\n" for at, model, seconds in rows)


def _requests(model: str, trace: Trace) -> Iterator[tuple[float, str, float]]:
    if trace.moments is not None and trace.work_seconds is not None:
        for moment, seconds in zip(trace.moments, trace.work_seconds, strict=True):
            yield float(moment), model, float(seconds)


def _write(trace: Trace, target: Path) -> None:
    rows = (
        f"{number * trace.bin_seconds:.10g},{count / trace.bin_seconds:g}\n"
        for number, count in enumerate(trace.counts)
    )
    with target.open("w", encoding="utf-8") as file:
        file.write("t_seconds,requests_per_second\n")
        file.writelines(rows)
