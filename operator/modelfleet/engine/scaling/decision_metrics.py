"""The terms of each model's decision as metrics: what `modelfleet explain --plot` draws.

Filled by `scaling.forecaster` at each step. 15 series for a model with traffic; each is looked up
once and then only set, so a thousand models cost some milliseconds. Must never change a decision.
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
    """What the tick knows of one model's replicas at the step."""

    service: ModelFigures
    ready: int
    starting: int
    age_seconds: float
    """Summed age of the starting replicas."""
    granted: int = 0
    bounds: tuple[int, int] = (0, 0)
    """Fewest and most replicas that are allowed now."""


@dataclass(slots=True)
class _Series:
    """Of one model, in the order of TERMS and STATES."""

    terms: tuple[Gauge, ...]
    replicas: tuple[Gauge, ...]
    aim: Gauge
    risk: Gauge
    service_seconds: Gauge
    slots: Gauge


class DecisionMetrics:
    """Series by model."""

    def __init__(self) -> None:
        """None yet."""
        self._series: dict[Key, _Series] = {}

    def put(
        self, key: Key, fleet: Policy, wanted: PolicyOutput, row: int, pool: ReplicasNow | None
    ) -> None:
        """The newest decision for a model, which has row `row`."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _series_of(key)
        for term, gauge in zip(TERMS, series.terms, strict=True):
            gauge.set(float(getattr(wanted, term)[row]))
        chosen = int(wanted.candidate[row])
        series.aim.set(float(fleet.choice.aim[row]))
        series.risk.set(float(fleet.bank.risk[chosen]))
        service = fleet.services[row]
        if service is not None:
            series.service_seconds.set(service.service_seconds)
            series.slots.set(service.slots)
        if pool is not None:
            counts = (pool.granted, pool.ready, *pool.bounds)
            for gauge, count in zip(series.replicas, counts, strict=True):
                gauge.set(count)

    def forget(self, key: Key) -> None:
        """The model is gone."""
        if self._series.pop(key, None) is not None:
            metrics.forget_model(key.namespace, key.name)


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
