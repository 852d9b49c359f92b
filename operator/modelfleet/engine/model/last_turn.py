"""Values that a turn hands to the scaling pass: parameters, replicas and versions.

`model.turn` stores it in the ledger; `scaling.tick` works with it. Pure.
"""

from dataclasses import dataclass

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.core.scaling.schedules import bounds
from modelfleet.core.scaling.signal_status import signals_of
from modelfleet.engine.handover import LastTurn
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import Plan
from modelfleet.facts.scaling import ScalingParams

DEFAULT_STARTUP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ScalingTimes:
    """Scaling times from the settings."""

    scale_down_seconds: float
    keep_alive_seconds: float


def last_turn_of(
    facts: ModelFacts, spec: MLModelSpec, plan: Plan, now: float, times: ScalingTimes
) -> LastTurn:
    """Return the values of this turn; `now` in monotonic seconds."""
    scaling = spec.scaling
    serving = [v for v in facts.versions if plan.targets.get(v.name, 0) > 0]
    learned = [v.startup_seconds for v in serving if v.startup_seconds is not None]
    ready = sum(v.ready for v in serving)
    granted = plan.status.scaling.granted if plan.status.scaling else scaling.min_replicas
    return LastTurn(
        params=_params(facts, spec, times),
        granted=granted,
        ready=ready,
        starting=max(0, sum(v.replicas for v in serving) - ready),
        startup_seconds=max(learned, default=DEFAULT_STARTUP_SECONDS),
        follows=scaling.mode == "Auto" and spec.replicas is None,
        starting_at=tuple(
            now - (facts.now - pod.created_at).total_seconds()
            for version in serving
            for pod in version.alive
            if not pod.is_ready
        ),
        pods=tuple(pod.name for version in facts.versions for pod in version.pods),
        ready_pods=tuple(
            pod.name
            for version in facts.versions
            for pod in version.alive
            if pod.is_ready and pod.is_in_service
        ),
        stable=plan.status.stable or "",
        candidate=plan.status.candidate or "",
    )


def _params(facts: ModelFacts, spec: MLModelSpec, times: ScalingTimes) -> ScalingParams:
    """Return the bounds, hints and signals that apply now."""
    now_bounds, objective = bounds(spec.scaling, facts.now), spec.objective
    percentile = objective.percentile if objective else 95
    return ScalingParams(
        min_replicas=now_bounds.low,
        max_replicas=now_bounds.high,
        slots=spec.scaling.concurrency_per_replica or facts.defaults.concurrency,
        scale_down_seconds=times.scale_down_seconds,
        keep_alive_seconds=times.keep_alive_seconds,
        latency_objective_seconds=objective.latency_milliseconds / 1000 if objective else None,
        percentile=percentile,
        aim=1.0 - percentile / 100.0,
        learns_slots=objective is not None,
        is_hint=spec.scaling.concurrency_per_replica is not None,
        signals=signals_of(spec),
        bounds_why=(now_bounds.low_why, now_bounds.high_why),
    )
