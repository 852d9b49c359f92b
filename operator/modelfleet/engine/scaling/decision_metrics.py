"""Metrics with the terms of each model's decision; `modelfleet explain --plot` draws them.

`scaling.forecaster` sets them at each step. A model with traffic has 14 of them. Each series is
looked up once and then only set, so a thousand models cost some milliseconds. Must never change a
decision.
"""

from dataclasses import dataclass

from prometheus_client import Gauge

from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Policy, PolicyOutput
from modelfleet.facts.identity import Key
from modelfleet.telemetry import metrics

TERMS = ("load", "start", "keep", "floor", "cap", "backlog")
STATES = ("granted", "ready", "least", "most")


@dataclass(slots=True)
class ReplicasNow:
    """Replicas of one model at a step, as the tick counts them."""

    service: ModelFigures
    ready: int
    starting: int
    age_seconds: float
    """Summed age of the starting replicas, in seconds."""
    granted: int = 0
    bounds: tuple[int, int] = (0, 0)
    """Least and most replicas that are allowed now."""


@dataclass(slots=True)
class _Series:
    """Series of one model, in the order of TERMS and STATES."""

    terms: tuple[Gauge, ...]
    replicas: tuple[Gauge, ...]
    aim: Gauge
    risk: Gauge
    service_seconds: Gauge
    slots: Gauge


class DecisionMetrics:
    """Series by model."""

    def __init__(self) -> None:
        """Start without any series."""
        self._series: dict[Key, _Series] = {}

    def put(
        self,
        key: Key,
        policy: Policy,
        output: PolicyOutput,
        row: int,
        replicas_now: ReplicasNow | None,
    ) -> None:
        """Set the series of a model to its newest decision; `row` is its row in the policy."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _series_of(key)
        for term, gauge in zip(TERMS, series.terms, strict=True):
            gauge.set(float(getattr(output, term)[row]))
        dial = int(output.dial[row])
        series.aim.set(float(policy.choice.aim[row]))
        series.risk.set(float(policy.dials.risk[dial]))
        service = policy.figures[row]
        if service is not None:
            series.service_seconds.set(service.service_seconds)
            series.slots.set(service.slots)
        if replicas_now is not None:
            counts = (replicas_now.granted, replicas_now.ready, *replicas_now.bounds)
            for gauge, count in zip(series.replicas, counts, strict=True):
                gauge.set(count)

    def forget(self, key: Key) -> None:
        """Remove the series of a model that was deleted."""
        if self._series.pop(key, None) is not None:
            metrics.forget_decisions(key.namespace, key.name)


def _series_of(key: Key) -> _Series:
    labels = (key.namespace, key.name)
    return _Series(
        terms=tuple(metrics.SCALING_SLOTS.labels(*labels, term) for term in TERMS),
        replicas=tuple(metrics.SCALING_REPLICAS.labels(*labels, state) for state in STATES),
        aim=metrics.SCALING_AIM.labels(*labels),
        risk=metrics.SCALING_RISK.labels(*labels),
        service_seconds=metrics.SERVICE_SECONDS.labels(*labels),
        slots=metrics.REPLICA_SLOTS.labels(*labels),
    )
