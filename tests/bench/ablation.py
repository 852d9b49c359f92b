"""What each part of the scaling policy is worth: the shipped code with one part switched off.

`python -m tests.bench ablation`: the short traces, half an hour; `BENCH_LONG=1` adds
those of 14 days (hours). Violations @ cost ratio, as in the table of `autoscale`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelfleet.core.forecasting.constants import SHIPPED, Tuning
from modelfleet.simulate.comparison import Case, Draw, draws, one_model, shipped
from modelfleet.simulate.shipped_scaler import ShippedScaler
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import read_trace
from tests.bench.autoscale import GENERATED, SCENARIOS, TRACES

SHORT = (
    *("azure conversation x5", "azure code x5", "mm-image", "deepseek-r1"),
    *("steady, 2 days", "flash crowd, 2 days"),
)
LONG = ("m-small", "m-large tail")
PARTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "daily profile": {"has_profile": False},
    "envelopes": {"has_envelopes": False},
    "shipped prior": {"has_prior": False},
    "forecast to keep": {"has_keep_forecast": False},
    "hold": {"has_hold": False},
    "backlog rule": {"has_backlog": False},
    "chance within a bin": {"has_chance": False},
    "keeping what lasts": {"has_sustained": False},
    "error budget": {"has_budget": False},
    "tuner": {"has_tuner": False},
    "floors": {"floors": (0.0, 0.0)},
}


def run() -> dict[str, str]:
    """Figures by part and trace."""
    names = SHORT + (LONG if os.environ.get("BENCH_LONG") else ())
    seeds = range(1, int(os.environ.get("BENCH_SEEDS", "2")) + 1)
    figures = {}
    for name in names:
        case = _case(name, seeds)
        drawn = draws(case)
        for part, off in PARTS.items():
            figures[f"{name} without {part}"] = _measure(case, drawn, replace(SHIPPED, **off))
            print(f"{name:24} without {part:19}", figures[f"{name} without {part}"], flush=True)
    return figures


def _case(name: str, seeds: Sequence[int]) -> Case:
    if name in GENERATED:
        make, values = GENERATED[name]
        trace = make()
    else:
        file, values = SCENARIOS[name]
        trace = read_trace(TRACES / file)
    startup, wait, slots, seconds, aim, skip, times = map(float, values.split())
    service = SimulatedService(startup, wait, int(slots), seconds)
    return one_model(trace.times(times), service, aim / 100, skip * 86_400, seeds)


def _measure(case: Case, drawn: Sequence[Draw], tuning: Tuning) -> str:
    make = functools.partial(ShippedScaler, tuning=tuning, least_replicas=case.least)
    scores = shipped(case, drawn, make).scores
    pairs = zip(scores, drawn, strict=True)
    ratios = [s.billed_seconds / d.reference.billed_seconds for s, d in pairs]
    violated = sum(s.violations_percent for s in scores) / len(scores)
    return f"{violated:.2f} % @ {sum(ratios) / len(ratios):.3f}"
