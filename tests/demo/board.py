"""What the user sees while the story goes on: a live table, or plain lines without a terminal.

Started by ``__main__``, fed by ``story``. A thread draws from what ``watch`` and ``traffic`` hold.
It must never decide anything, and a failure to draw must never end the demo.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from .specs import MODEL
from .traffic import Traffic
from .watch import Seen, condition, weights

DRAW_SECONDS = 0.5
LINE_SECONDS = 2.0


class Board:
    """The live view."""

    def __init__(self, seen: Seen, traffic: Traffic) -> None:
        self._seen = seen
        self._traffic = traffic
        self._console = Console(stderr=False, highlight=False)
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self.phase = ""
        self.timeline: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """One line that stays."""
        seconds = time.monotonic() - self._began
        self._console.print(f"{seconds:6.1f} s  {text}", style=style, markup=False, soft_wrap=True)
        sys.stdout.flush()

    def show(self, text: str) -> None:
        """A block that stays, such as YAML or a message."""
        for line in text.rstrip().splitlines():
            self._console.print(f"          {line}", style="dim", markup=False, soft_wrap=True)

    def _draw(self) -> None:
        terminal = self._console.is_terminal
        while not self._ended.wait(DRAW_SECONDS if terminal else LINE_SECONDS):
            with self._seen.changed:
                row = facts(self._seen, self._traffic.last)
                point = moment(self._seen, self._traffic.last)
            began = {"seconds": time.monotonic() - self._began, "phase": self.phase}
            self.timeline.append({**began, **point})
            if terminal:
                self._live.update(table(self.phase, row), refresh=True)
            else:
                self.say("  ".join(f"{name} {value}" for name, value in row.items()))


def moment(seen: Seen, load: dict[str, Any]) -> dict[str, Any]:
    """One point of the timeline, from which ``picture`` draws."""
    model = seen.model(MODEL)
    share = weights(model)
    names = sorted(set(share) | seen.versions())
    return {
        "sent": load.get("sent", 0),
        "failed": load.get("totals", {}).get("failed", 0),
        "p95_ms": load.get("latency_ms", {}).get("p95"),
        "ready": {name: seen.ready(name) for name in names},
        "weights": share,
        "want": (model.get("status", {}).get("scaling") or {}).get("want"),
    }


def facts(seen: Seen, load: dict[str, Any]) -> dict[str, str]:
    """One line of the view, by the name of its column."""
    model = seen.model(MODEL)
    status = model.get("status", {})
    scaling = status.get("scaling") or {}
    times = load.get("latency_ms", {})
    totals = load.get("totals", {})
    return {
        "requests/s": str(load.get("sent", 0)),
        "total": str(totals.get("sent", 0)),
        "failed": str(totals.get("failed", 0)),
        "in flight": str(load.get("in_flight", 0)),
        "p50/p95/p99 ms": "/".join(f"{times[p]:.0f}" for p in ("p50", "p95", "p99") if p in times)
        or "-",
        "want": str(scaling.get("want", "-")),
        "share on ready pods": shares(seen, model) or "-",
        "Ready": condition(model, "Ready").get("reason", "-"),
        "why": (scaling.get("why") or ["-"])[0],
    }


def shares(seen: Seen, model: dict[str, Any]) -> str:
    """Each version's share of the traffic and its ready pods."""
    share = weights(model)
    names = sorted({name for name, weight in share.items() if weight} | seen.versions())
    return ", ".join(f"{name} {share.get(name, 0)}% on {seen.ready(name)}" for name in names)


def table(phase: str, row: dict[str, str]) -> Panel:
    """The view of a terminal."""
    grid = Table(box=None, expand=True, pad_edge=False)
    why = row.pop("why")
    for name, value in row.items():
        grid.add_column(name, style="red bold" if name == "failed" and value != "0" else "")
    grid.add_row(*row.values())
    return Panel(grid, title=phase, title_align="left", subtitle=f"why: {why}")
