"""Output of a verb: a table, JSON or YAML, and the exit code for a program that waits for it.

A table fits the terminal: the last column takes what is left and is cut there. In a pipe nothing is
cut.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from modelfleet.cli.support.model_state import Health

WATCH_SECONDS = 2.0
UNHEALTHY, MOVING = 3, 4
"""Exit codes with `--exit-code`: a model is degraded; none is, but one is under way or paused."""
_COLORS: dict[str, str] = {
    "Degraded": "red",
    "Progressing": "yellow",
    "Suspended": "cyan",
    "Healthy": "green",
}


def add_output(parser: argparse.ArgumentParser, *, wide: bool = False) -> None:
    """Add `-o`, `-w` and `--exit-code`."""
    forms = ["json", "yaml", *(["wide"] if wide else [])]
    parser.add_argument("-o", "--output", choices=forms, help="form of the output")
    parser.add_argument("-w", "--watch", action="store_true", help="show it again as it changes")
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help=f"end with {UNHEALTHY} when a model is degraded, {MOVING} when one is under way",
    )


def structured(value: Any, form: str) -> str:
    """Return a value as JSON or YAML text."""
    if form == "json":
        return json.dumps(value, indent=2) + "\n"
    import yaml  # comes with the Kubernetes client

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def table(rows: Sequence[Sequence[str]], healths: Sequence[Health | None] = ()) -> None:
    """Print rows; the first one has the titles, and the last column is cut at the terminal's end.

    `healths` colors the rows after the first.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    room = console.width - sum(widths) - 2 * len(widths) if console.is_terminal else None
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=True)]
        last = row[-1]
        if room is not None and len(last) > room:
            last = last[: max(room - 1, 0)] + "…"
        health = healths[number - 1] if 0 < number <= len(healths) else None
        style = "bold" if number == 0 else _COLORS.get(health or "", "")
        console.print(Text("  ".join([*cells, last]).rstrip(), style=style))


def code_of(healths: Sequence[Health]) -> int:
    """Return the exit code that `--exit-code` asks for."""
    if "Degraded" in healths:
        return UNHEALTHY
    return MOVING if any(health != "Healthy" for health in healths) else 0


def shown(once: Callable[[], int], *, watch: bool) -> int:
    """Run `once`, again and again with `watch`; Ctrl-C ends it without an error."""
    if not watch:
        return once()
    try:
        while True:
            if sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            once()
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0
