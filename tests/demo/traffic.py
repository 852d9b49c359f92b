"""The load generator as the demo drives it: a process of its own, steered over its input.

Used by ``story`` and by end-to-end tests. A thread reads its lines; the last one is what the
table shows. It must never touch a count: all numbers are the generator's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cluster.paths import ROOT

from .cluster import DemoError

END_SECONDS = 150.0


class Traffic:
    """One run of ``tests.load``."""

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        self._report = folder / "load-report.json"
        self._report.unlink(missing_ok=True)
        path = folder / "load-plan.json"
        path.write_text(json.dumps({**plan, "stay": True}), encoding="utf-8")
        words = ("-m", "tests.load", "--plan", str(path), "--report", str(self._report))
        # An interrupt of the terminal is for the demo, which ends the generator in order.
        self._process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.last: dict[str, Any] = {}
        self._kept: dict[str, list[int]] = {}
        self._phase = ""
        self.answers: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, **command: Any) -> None:
        """Send one command: ``steps``, ``allow``, ``phase``, ``once``, ``stop``."""
        if self._process.poll() is not None or self._process.stdin is None:
            msg = f"the load generator ended by itself with code {self._process.returncode}"
            raise DemoError(msg)
        self._phase = command.get("phase", self._phase)
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def ask(self, number: int, seconds: float) -> list[dict[str, Any]]:
        """Send ``number`` requests now; gives their answers, failed ones too."""
        before = len(self.answers)
        self.tell(once=number)
        end = time.monotonic() + seconds
        with self._changed:
            while len(self.answers) < before + number:
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    msg = f"waited {seconds:.0f} s for the answer of a request"
                    raise DemoError(msg)
        return self.answers[before : before + number]

    @property
    def sent(self) -> int:
        """All requests so far, as of the last line."""
        return int(self.last.get("totals", {}).get("sent", 0))

    @property
    def failed(self) -> int:
        """All failures so far, as of the last line."""
        return int(self.last.get("totals", {}).get("failed", 0))

    def kept(self, phase: str) -> tuple[int, int]:
        """Answers within the objective and all, as of the last line of the phase; for people."""
        within, answered = self._kept.get(phase, [0, 0])
        return within, answered

    def end(self) -> dict[str, Any]:
        """Stop sending, wait for what is under way, give the report; empty when it has none."""
        try:
            if self._process.poll() is None and self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(END_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
        self._reader.join(5)
        if not self._report.exists():
            return {}
        report: dict[str, Any] = json.loads(self._report.read_text(encoding="utf-8"))
        return report

    def kill(self) -> None:
        """End it at once; for an interrupted demo."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            value = json.loads(line)
            with self._changed:
                if value["event"] == "second":
                    self.last = value
                    kept = self._kept.setdefault(self._phase, [0, 0])
                    kept[0] += value.get("within_objective") or 0
                    kept[1] += value["ok"]
                elif value["event"] == "answer":
                    self.answers.append(value)
                self._changed.notify_all()


def expected_steps(first: float, last: float, ramp: float, hold: float) -> Sequence[list[float]]:
    """A ramp, then the last rate for a while."""
    return [[ramp, first, last], [hold, last, last]]
