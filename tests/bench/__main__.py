"""Runs the chosen benchmarks and writes `build/bench.json`."""

from __future__ import annotations

import json
import sys

from tests import stack
from tests.bench import ablation, autoscale, fleet, latency, replay

ALL = {
    "fleet": fleet.run,
    "latency": latency.run,
    "autoscale": autoscale.run,
    "ablation": ablation.run,
    "replay": replay.run,
}


def main(chosen: list[str]) -> int:
    """Run, print a table each, store all figures."""
    file = stack.ROOT / "build" / "bench.json"
    for name in chosen or list(ALL):
        print(f"\n== {name}", flush=True)
        found = ALL[name]()
        for key, value in found.items():
            print(f"{key:<52} {value}")
        # Another run may have written meanwhile.
        figures = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**figures, name: found}, indent=2))
    print(f"\nwritten to {file.relative_to(stack.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
