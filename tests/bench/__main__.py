"""Runs the chosen benchmarks and writes `build/bench.json`.

Those on the cluster bring it up, with the images of this checkout, and leave it up.
"""

from __future__ import annotations

import importlib
import json
import sys

from tests import ground, stack

ON_CLUSTER = ("fleet", "latency", "replay", "restarts")
ALL = (*ON_CLUSTER, "overload", "autoscale", "ablation")
"""Each is a module of this folder with a function `run`."""


def main(chosen: list[str]) -> int:
    """Run, print a table each, store all figures."""
    unknown = [name for name in chosen if name not in ALL]
    if unknown:
        return refuse(f"no benchmark '{unknown[0]}'; there are {', '.join(ALL)}")
    names = chosen or ALL
    if not set(ON_CLUSTER).isdisjoint(names):
        try:
            ground.stand()
        except ground.GroundError as error:
            return refuse(f"{error}; {', '.join(ON_CLUSTER)} need the local Kubernetes")
    file = stack.ROOT / "build" / "bench.json"
    file.parent.mkdir(exist_ok=True)
    for name in names:
        print(f"\n== {name}", flush=True)
        found = importlib.import_module(f"tests.bench.{name}").run()
        for key, value in found.items():
            print(f"{key:<52} {value}")
        # Another run may have written meanwhile.
        figures = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**figures, name: found}, indent=2))
    print(f"\nwritten to {file.relative_to(stack.ROOT)}")
    if not set(ON_CLUSTER).isdisjoint(names):
        print("the cluster stays up; `make cluster-down` ends it")
    return 0


def refuse(why: str) -> int:
    """One line, and the exit code of a command that could not begin."""
    print(f"tests.bench: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
