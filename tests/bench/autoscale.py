"""The scenarios of the README's autoscaling table, run through `modelfleet bench autoscale`.

`make bench-autoscale` (all peers, an hour and more) or, for our own policy and a static fleet only,
`python -m tests.bench autoscale`. Writes JSON and a picture of each into `build/autoscale`.
"""

from __future__ import annotations

import json
import os
from typing import Any

from modelfleet.cli.bench import bench
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
    for name, (file, values) in SCENARIOS.items():
        if only and only != name:
            continue
        target = folder / f"{name.replace(' ', '-')}.json"
        arguments = ["autoscale", "--trace", str(TRACES / file), "--json", str(target)]
        for option, value in zip((*OPTIONS, "rate-times"), values.split(), strict=True):
            arguments += [f"--{option}", value]
        arguments += ["--seeds", os.environ.get("BENCH_SEEDS", "3")]
        arguments += ["--plot", str(target.with_suffix(".png"))]
        if policies != "all":
            arguments += ["--policies", policies]
        if bench(arguments) != 0:
            raise RuntimeError(name)
        for found in json.loads(target.read_text())["policies"]:
            figures[f"{name}: {found['name']} {found['setting']}"] = (
                f"{found['violations_percent']:.2f} % @ {found['cost_ratio']:.3f},"
                f" {found['starts_per_day']:.0f} starts a day, peak {found['peak_replicas']:.0f}"
            )
    return figures
