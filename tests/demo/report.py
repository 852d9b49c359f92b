"""The outcome of a run: the numbers, the phases that happened, and the verdict. Pure.

Filled by ``story``, printed and written by ``__main__``. A number that was not measured is null,
never 0. The run passed only if every phase happened, no request failed, the gateways counted what
the generator sent, and the objective was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

PHASES = (
    "first answer",
    "scale up",
    "roll out",
    "scale down",
    "mistakes",
    "to zero",
    "wake",
    "in the cluster",
)
NOT_PROMISED = ("", "first answer", "wake")
"""Phases in which a request waits for the first replica, as it must."""
MIN_WITHIN = 0.9
"""Share of the answers that must be within the objective."""


@dataclass
class Report:
    """What was measured; ``None`` is unknown."""

    phases: dict[str, float] = field(default_factory=dict)
    """Seconds by name of each phase that happened."""
    first_answer_seconds: float | None = None
    rollout_seconds: float | None = None
    wake_seconds: float | None = None
    wake_ready_to_first_byte_seconds: float | None = None
    max_replicas: int | None = None
    pod_starts: Sequence[float] = ()
    versions: dict[str, str] = field(default_factory=dict)
    """The user's name of each version that answered."""
    messages: dict[str, str] = field(default_factory=dict)
    """What the user was told about each mistake."""
    load: Mapping[str, Any] = field(default_factory=dict)
    """The generator's own report."""
    others_requests: int = 0
    """Requests through the gateways that were not the generator's."""
    rates: Mapping[str, Any] = field(default_factory=dict)
    """What was measured of the machine, and the traffic that was chosen."""
    gateways: Mapping[str, int] = field(default_factory=dict)
    """Completed requests by class, as the gateways counted."""
    error: str | None = None

    def faults(self) -> list[str]:
        """Why the run did not pass; empty if it did."""
        found = [self.error] if self.error else []
        found += [f"phase '{name}' did not happen" for name in PHASES if name not in self.phases]
        total = self.load.get("total", {})
        if not total:
            found.append("the load generator left no report")
        elif total["failed"]:
            reasons = ", ".join(f"{n} x {why}" for why, n in total["reasons"].items())
            first = [f" (first: {each['detail']})" for each in self.load.get("failures", [])[:1]]
            found.append(
                f"{total['failed']} of {total['sent']} requests failed: {reasons}{''.join(first)}"
            )
        if total and self.envoy_requests != total["sent"] + self.others_requests:
            found.append(
                f"the gateways counted {self.envoy_requests} requests, but "
                f"{total['sent']} + {self.others_requests} were sent"
                " (a gateway that ends takes its last counts with it)"
            )
        return found + self._lateness()

    def kept(self) -> dict[str, tuple[int, int]]:
        """Answers within the objective and requests, by phase in which it was promised."""
        return {
            name: (phase["within_objective"] or 0, phase["sent"])
            for name, phase in self.load.get("phases", {}).items()
            if name not in NOT_PROMISED and phase["sent"]
        }

    def within(self) -> float | None:
        """Share of the answers within the objective, outside the first start and the wake."""
        found = self.kept().values()
        sent = sum(number for _, number in found)
        return sum(within for within, _ in found) / sent if sent else None

    def _lateness(self) -> list[str]:
        share = self.within()
        if share is None or share >= MIN_WITHIN:
            return []
        phases = [
            f"{name} {within} of {sent} (p95 {self._p95(name)})"
            for name, (within, sent) in self.kept().items()
            if within < MIN_WITHIN * sent
        ]
        late = self.load.get("total", {}).get("late_ms", {}).get("p95")
        objective = self.rates.get("objective_milliseconds")
        text = (
            f"only {share:.1%} of the answers were within the objective of {objective} ms "
            f"({MIN_WITHIN:.0%} must be): {', '.join(phases)}; "
            f"the generator itself was {late} ms late (p95)"
        )
        return [text]

    def _p95(self, phase: str) -> str:
        times = self.load["phases"][phase].get("latency_ms", {})
        return f"{times['p95']:.0f} ms" if "p95" in times else "unknown"

    @property
    def envoy_requests(self) -> int:
        """All requests that the gateways completed."""
        return sum(self.gateways.values())

    def to_json(self) -> dict[str, Any]:
        """As ``build/demo-report.json``."""
        total = self.load.get("total", {})
        return {
            "passed": not self.faults(),
            "faults": self.faults(),
            "requests": total.get("sent"),
            "failed": total.get("failed"),
            "envoy_requests": self.envoy_requests,
            "envoy_requests_by_class": dict(self.gateways),
            "requests_beside_generator": self.others_requests,
            "max_replicas": self.max_replicas,
            "first_answer_seconds": rounded(self.first_answer_seconds),
            "rollout_seconds": rounded(self.rollout_seconds),
            "wake_seconds": rounded(self.wake_seconds),
            "wake_ready_to_first_byte_seconds": rounded(self.wake_ready_to_first_byte_seconds),
            "pod_start_seconds": rounded(median(self.pod_starts) if self.pod_starts else None),
            "pods_started": len(self.pod_starts),
            "rates": dict(self.rates),
            "within_objective": rounded(self.within()),
            "within_objective_by_phase": {
                name: rounded(within / sent) for name, (within, sent) in self.kept().items()
            },
            "versions": {
                name: {"model": label, "answers": total.get("versions", {}).get(name, 0)}
                for name, label in self.versions.items()
            },
            "latency_ms": total.get("latency_ms"),
            "generator_late_ms": total.get("late_ms"),
            "generator_cpu_seconds": self.load.get("cpu_seconds"),
            "phase_seconds": {name: rounded(value) for name, value in self.phases.items()},
            "phase_load": self.load.get("phases", {}),
            "messages": self.messages,
            "failures": self.load.get("failures", []),
        }

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people."""
        value = self.to_json()
        times = value["latency_ms"] or {}
        late = value["generator_late_ms"] or {}
        answers = [f"{n} ({v['model']}): {v['answers']}" for n, v in value["versions"].items()]
        within = value["within_objective"]
        by_phase = value["within_objective_by_phase"].items()
        named = {
            "machine can do / traffic": traffic(self.rates),
            "within the objective": None if within is None else f"{within:.1%}",
            "  by phase": ", ".join(f"{name} {share:.1%}" for name, share in by_phase) or None,
            "requests sent": value["requests"],
            "failed": value["failed"],
            "counted by the gateways": f"{value['envoy_requests']}"
            f" ({self.others_requests} of them not from the generator)",
            "answers by version": ", ".join(answers),
            "latency p50/p95/p99": spread(times),
            "generator's lateness p50/p95/p99": spread(late),
            "most ready replicas": value["max_replicas"],
            "from apply to the first answer": seconds(value["first_answer_seconds"]),
            "rollout under load": seconds(value["rollout_seconds"]),
            "wake from zero": seconds(value["wake_seconds"]),
            "  of it after the pod was Ready": seconds(value["wake_ready_to_first_byte_seconds"]),
            "start of a replica (median)": seconds(value["pod_start_seconds"]),
        }
        return [(name, "unknown" if each is None else str(each)) for name, each in named.items()]


def traffic(rates: Mapping[str, Any]) -> str | None:
    """What was measured, and what followed."""
    if not rates:
        return None
    return (
        f"{rates['machine']:.0f} requests/s / {rates['low']:.0f} to {rates['high']:.0f}, one "
        f"replica carries {rates['one_replica']:.0f}; "
        f"objective {rates['objective_milliseconds']} ms"
    )


def rounded(value: float | None) -> float | None:
    """Milliseconds are enough."""
    return None if value is None else round(value, 3)


def seconds(value: float | None) -> str:
    """For people."""
    return "unknown" if value is None else f"{value:.2f} s"


def spread(times: Mapping[str, float]) -> str:
    """Three percentiles in milliseconds."""
    known = [f"{times[name]:.1f}" for name in ("p50", "p95", "p99") if name in times]
    return f"{'/'.join(known)} ms" if known else "unknown"
