"""Runs the chosen benchmarks and writes `build/bench.json`."""

from __future__ import annotations

import json
import sys

from tests import stack
from tests.bench import autoscale, fleet, latency

ALL = {"fleet": fleet.run, "latency": latency.run, "autoscale": autoscale.run}


def main(chosen: list[str]) -> int:
    """Run, print a table each, store all figures."""
    file = stack.ROOT / "build" / "bench.json"
    figures = json.loads(file.read_text()) if file.exists() else {}
    for name in chosen or list(ALL):
        print(f"\n== {name}", flush=True)
        found = ALL[name]()
        figures[name] = found
        for key, value in found.items():
            print(f"{key:<52} {value}")
        file.write_text(json.dumps(figures, indent=2))
    print(f"\nwritten to {file.relative_to(stack.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
