"""Counts and times of requests: of the last second, of a phase, of everything. Pure.

Filled by ``generator`` at each sending and each end. Latency runs from the *scheduled* time, so
that a generator that comes late cannot hide a slow server; lateness is reported beside it. It
must never drop a failure: only their excerpts are bounded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_EXCERPTS = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished request; ``latency_seconds`` from schedule to the last byte."""

    at: float
    latency_seconds: float
    version: str
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """Sums over some time. ``objective_seconds``: correct answers as quick as that are counted."""

    objective_seconds: float | None = None
    sent: int = 0
    ok: int = 0
    within: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    excerpts: list[dict[str, Any]] = field(default_factory=list)

    def began(self, late_seconds: float) -> None:
        """A request was sent so much after its time."""
        self.sent += 1
        self.lateness.append(late_seconds)

    def ended(self, outcome: Outcome) -> None:
        """A request ended, well or not."""
        if outcome.version:
            self.versions[outcome.version] += 1
        if not outcome.reason:
            self.ok += 1
            self.latencies.append(outcome.latency_seconds)
            if self.objective_seconds is not None:
                self.within += outcome.latency_seconds <= self.objective_seconds
            return
        self.failed += 1
        self.reasons[outcome.reason] += 1
        if len(self.excerpts) < MAX_EXCERPTS:
            self.excerpts.append(
                {
                    "at": round(outcome.at, 3),
                    "after_seconds": round(outcome.latency_seconds, 3),
                    "reason": outcome.reason,
                    "detail": outcome.detail,
                }
            )

    def summary(self) -> dict[str, Any]:
        """As JSON; times in milliseconds."""
        return {
            "sent": self.sent,
            "ok": self.ok,
            "failed": self.failed,
            "within_objective": None if self.objective_seconds is None else self.within,
            "latency_ms": milliseconds(self.latencies),
            "late_ms": milliseconds(self.lateness),
            "versions": dict(sorted(self.versions.items())),
            "reasons": dict(sorted(self.reasons.items())),
        }


def milliseconds(seconds: Iterable[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest; empty without values, because unknown is not zero."""
    values = sorted(seconds)
    if not values:
        return {}
    named = {f"p{n}": percentile(values, n) for n in (50, 95, 99)}
    named["max"] = values[-1]
    return {name: round(value * 1000, 2) for name, value in named.items()}


def percentile(ordered: list[float], percent: float) -> float:
    """Smallest value that ``percent`` of the values do not exceed: 95 % of 1..20 is 19."""
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]
