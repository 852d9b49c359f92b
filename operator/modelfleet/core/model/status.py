"""The status of a model: one function for each condition.

`engine.model.turn` writes the result when it differs. Must never hold a value that changes under
steady traffic: every change is a write to the API server.
"""

from collections.abc import Iterable

from modelfleet.api import names
from modelfleet.api.conditions import ConditionType as C
from modelfleet.api.conditions import foreign, rfc3339, updated
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import (
    MLModelStatus,
    RolloutStatus,
    RouteStatus,
    ScalingStatus,
    VersionSummary,
)
from modelfleet.api.reasons import Reason
from modelfleet.core.model.decision import Decision
from modelfleet.core.model.degraded import degraded
from modelfleet.core.model.roles import Roles
from modelfleet.core.scaling.schedules import Bounds
from modelfleet.core.scaling.signal_status import available
from modelfleet.facts.model import ModelFacts, VersionFacts

SHOWN_VERSIONS = 5
Claim = tuple[C, bool | None, Reason, str]


def status_of(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> MLModelStatus:
    """Return the whole new status; equal facts give an equal status."""
    before = facts.status
    claims = _claims(facts, spec, decision)
    roles = decision.roles
    numbers = [before.last_version or 0, *(v.number for v in facts.versions)]
    serving = roles.stable
    status = MLModelStatus(
        observed_generation=facts.generation,
        conditions=[
            *updated(
                before.conditions, claims, generation=facts.generation, now=rfc3339(facts.now)
            ),
            *foreign(before.conditions),
        ],
        url=f"http://{facts.key.name}.{facts.key.namespace}/" if facts.gateways.is_used else None,
        model=serving.spec.model_version if serving else None,
        stable=serving.name if serving else before.stable,
        candidate=roles.candidate.name if roles.candidate else None,
        last_version=max(numbers) or None,
        route=_route(facts, decision),
        replicas=_replicas(facts, decision),
        selector=f"{names.LABEL_MODEL}={facts.key.name}",
        scaling=_scaling(facts, spec, decision),
        rollout=_rollout(facts, spec, decision),
        retained=decision.retained,
        retained_until=decision.retained_until,
        versions=_versions(facts, roles),
    )
    return before if _is_only_confirmed(before, status) else status


def _is_only_confirmed(before: MLModelStatus, after: MLModelStatus) -> bool:
    """Return whether `route.confirmed` alone changed: the next other change writes it too."""
    if before.route is None or after.route is None:
        return False
    route = after.route.model_copy(update={"confirmed": before.route.confirmed})
    return before == after.model_copy(update={"route": route})


def refused(facts: ModelFacts, reason: Reason, message: str) -> MLModelStatus:
    """Return the status while the spec is refused; the versions that serve go on unchanged."""
    conditions_before = {c.type: c for c in facts.status.conditions}
    claims: list[Claim] = []
    for kind in C:
        old = conditions_before.get(kind.value)
        if kind is C.STALLED:
            claims.append((kind, True, reason, message))
        elif kind is C.RECONCILING or kind is C.ROLLED_OUT:
            claims.append((kind, False, reason, message))
        elif old is None:
            claims.append(_unknown(kind, reason, message))
    new_conditions = {
        c.type: c
        for c in updated(
            facts.status.conditions, claims, generation=facts.generation, now=rfc3339(facts.now)
        )
    }
    # Every other condition stays as it was, with its reason.
    conditions = [new_conditions.get(kind.value) or conditions_before[kind.value] for kind in C]
    conditions += foreign(facts.status.conditions)
    return facts.status.model_copy(
        update={"conditions": conditions, "observed_generation": facts.generation}
    )


def _unknown(kind: C, reason: Reason, message: str) -> Claim:
    if kind in {C.DRIFT_SUSPECTED, C.BUDGET_LIMITED, C.DEGRADED}:
        return (kind, False, Reason.NOT_USED, "")
    return (kind, False, reason, message)


def _claims(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> Iterable[Claim]:
    yield _ready(facts, spec, decision)
    yield _available(facts, decision)
    yield _reconciling(decision)
    yield _stalled(decision)
    yield _rolled_out(decision)
    yield _with_drain(_scaling_active(facts, spec, decision.allowed), decision.drain_waits)
    yield (C.METRICS_AVAILABLE, *available(facts, spec))
    yield _probes_passing(facts, decision)
    yield (C.DRIFT_SUSPECTED, False, Reason.NOT_USED, "")
    yield (C.BUDGET_LIMITED, False, Reason.NOT_USED, "")
    yield (C.DEGRADED, *degraded(facts, spec, decision))


def _ready(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> Claim:
    stable = decision.roles.stable
    if stable is None:
        return _not_begun(decision)
    # A schedule that opens raises the minimum: its replicas may still start, which is no fault.
    least = min(spec.scaling.min_replicas, decision.allowed.low)
    if spec.replicas == 0:
        by = f" by {facts.replicas_manager}" if facts.replicas_manager else ""
        text = (
            f"spec.replicas is set to 0{by}: requests get 503; remove it to let them wake the model"
        )
        return (C.READY, True, Reason.IDLE, text)
    if least == 0 and decision.grant == 0:
        return (C.READY, True, Reason.IDLE, "idle at zero replicas; the next request wakes it")
    minimum = max(1, min(least, decision.grant))
    ready = _ready_count(decision)
    if ready >= minimum:
        return (C.READY, True, Reason.SERVING, f"{stable.name} serves")
    if ready == 0:
        # A start from zero is no fault: the agent holds the request until a replica answers it.
        text = "no replica is ready; requests are held" if facts.gateways.is_used else "starting"
        return (C.READY, False, Reason.HOLDING, text)
    return (C.READY, False, Reason.BELOW_FLOOR, f"fewer than {minimum} replicas are ready")


def _not_begun(decision: Decision) -> Claim:
    if decision.obstacle is not None:
        return (C.READY, False, decision.obstacle.reason, decision.obstacle.message)
    if decision.is_resolving:
        return (C.READY, False, Reason.RESOLVING, "the artifact's digest is being determined")
    if decision.roles.serving is None:
        return (C.READY, False, Reason.NO_VERSION, "no version exists yet")
    return (C.READY, False, Reason.STARTING, decision.moving or "the first version starts")


def _available(facts: ModelFacts, decision: Decision) -> Claim:
    """Return Available: a replica is ready, or held requests will be answered.

    Held requests count only for a version that has served once. Both cases share one reason:
    scaling to zero and back then causes no write.
    """
    text = "requests are answered, or held until a replica is ready"
    versions = [v for v in (decision.roles.stable, decision.roles.candidate) if v is not None]
    has_ready = any(v.ready > 0 for v in versions)
    can_hold = facts.gateways.is_used and facts.status.route is not None
    if decision.roles.stable is not None and (has_ready or can_hold):
        return (C.AVAILABLE, True, Reason.SERVING, text)
    if decision.roles.serving is None:
        return (C.AVAILABLE, False, Reason.NO_VERSION, "no version exists yet")
    return (C.AVAILABLE, False, Reason.STARTING, "no version has served yet")


def _reconciling(decision: Decision) -> Claim:
    is_hopeless = decision.obstacle is not None and decision.obstacle.is_hopeless
    if decision.moving and not is_hopeless and not decision.is_paused:
        reason = Reason.RESOLVING if decision.is_resolving else _rollout_reason(decision)
        return (C.RECONCILING, True, reason, decision.moving)
    return (C.RECONCILING, False, Reason.SETTLED, "")


def _rollout_reason(decision: Decision) -> Reason:
    return Reason.GATEWAY_SILENT if decision.waits_for_gateways else Reason.ROLLING_OUT


def _stalled(decision: Decision) -> Claim:
    obstacle = decision.obstacle
    stable = decision.roles.stable
    concerns_stable = (
        obstacle is not None and stable is not None and obstacle.version == stable.name
    )
    if obstacle is None or not obstacle.is_hopeless or concerns_stable:
        return (C.STALLED, False, Reason.HEALTHY, "")
    return (C.STALLED, True, obstacle.reason, obstacle.message)


def _rolled_out(decision: Decision) -> Claim:
    if decision.is_paused:
        return (C.ROLLED_OUT, False, Reason.PAUSED, "spec.paused is true; set it to false to go on")
    if decision.moving:
        obstacle = decision.obstacle
        if obstacle is not None:
            return (C.ROLLED_OUT, False, obstacle.reason, obstacle.message)
        return (C.ROLLED_OUT, False, _rollout_reason(decision), decision.moving)
    if decision.draining is not None:
        text = f"the new version serves; {decision.draining} is being drained"
        return (C.ROLLED_OUT, True, Reason.DRAINING, text)
    return (C.ROLLED_OUT, True, Reason.COMPLETE, "the version that the spec asks for serves")


def _with_drain(claim: Claim, drain_waits: str) -> Claim:
    """Add to the condition why a replica was not removed."""
    if not drain_waits:
        return claim
    kind, value, reason, text = claim
    reason = Reason.DRAIN_WAITS if value else reason
    return (kind, value, reason, f"{text}; {drain_waits}")


def _scaling_active(facts: ModelFacts, spec: MLModelSpec, allowed: Bounds) -> Claim:
    if spec.replicas is not None:
        by = f" by {facts.replicas_manager}" if facts.replicas_manager else ""
        text = f"spec.replicas is set to {spec.replicas}{by}; remove it to scale automatically"
        return (C.SCALING_ACTIVE, False, Reason.EXTERNAL_REPLICAS, text)
    if spec.scaling.mode == "Auto" and allowed.conflict:
        return (C.SCALING_ACTIVE, True, Reason.SCHEDULES_CONFLICT, allowed.conflict)
    if not facts.gateways.is_used:
        return (C.SCALING_ACTIVE, True, Reason.NOT_USED, "no gateway measures traffic")
    if spec.scaling.mode == "Recommend":
        text = "scaling.mode is Recommend: see status.scaling.want; set Auto to follow it"
        return (C.SCALING_ACTIVE, False, Reason.RECOMMENDING, text)
    if spec.scaling.mode == "Off":
        text = "scaling.mode is Off; set Auto to let replicas follow the traffic"
        return (C.SCALING_ACTIVE, False, Reason.SWITCHED_OFF, text)
    return _objective(facts, spec)


def _objective(facts: ModelFacts, spec: MLModelSpec) -> Claim:
    """Return whether more replicas can meet the objective."""
    if facts.lone_latency_seconds is None or spec.objective is None:
        text = "replicas follow the measured traffic"
        return (C.SCALING_ACTIVE, True, Reason.FOLLOWING, text)
    alone = _about(facts.lone_latency_seconds)
    text = (
        f"objective.latencyMilliseconds {spec.objective.latency_milliseconds} cannot be met by more"
        f" replicas: a single request on an idle replica takes {alone} on average; raise the"
        " objective, or make the model or its resources faster"
    )
    return (C.SCALING_ACTIVE, False, Reason.OBJECTIVE_UNREACHABLE, text)


def _about(seconds: float) -> str:
    """Round to two digits: the measured value moves, and each new text is a write."""
    return f"{float(f'{seconds * 1000:.2g}'):g} ms"


def _probes_passing(facts: ModelFacts, decision: Decision) -> Claim:
    failures = sorted(facts.gateways.probe_failures.items())
    serving = decision.roles.serving
    if failures:
        endpoint, text = failures[0]
        return (C.PROBES_PASSING, False, Reason.PROBE_FAILED, f"{endpoint}: {text}"[:1000])
    if serving is None or serving.spec.probe is None or not facts.gateways.is_used:
        return (C.PROBES_PASSING, True, Reason.NOT_USED, "no probe is used")
    return (C.PROBES_PASSING, True, Reason.PASSING, "every replica answered its probe")


def _route(facts: ModelFacts, decision: Decision) -> RouteStatus | None:
    if decision.route is None or not facts.gateways.is_used:
        return None
    before = facts.status.route
    body = decision.route.to_status()
    is_new = before is None or before.revision != decision.route.revision
    confirmed = before.confirmed if before is not None else None
    if decision.is_confirmed and not is_new:
        confirmed = decision.route.revision
    if confirmed is not None:
        body["confirmed"] = confirmed
    return RouteStatus.model_validate(body)


def _replicas(facts: ModelFacts, decision: Decision) -> int:
    roles = decision.roles
    versions: list[VersionFacts | None] = [roles.stable, roles.candidate, *roles.others]
    if not any(v is not None for v in versions):
        return facts.status.replicas or 0
    return decision.grant


def _scaling(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> ScalingStatus | None:
    """Return the scaling part; its reasons change only together with its numbers."""
    before = facts.status.scaling
    ask = facts.ask
    if before is not None and before.granted == decision.grant:
        # A user who sets the replicas still reads here what the autoscaler would grant.
        recommends = spec.replicas is not None or spec.scaling.mode == "Recommend"
        if not recommends or ask is None or ask.want == before.want:
            return before
    if decision.roles.serving is None:
        return before
    bound = _bound(facts, decision)
    if ask is None:
        first = [f"starts with {decision.grant}"] if before is None else before.why
        why = list(bound) or first
        return ScalingStatus(
            want=decision.grant,
            granted=decision.grant,
            ready=_ready_count(decision),
            why=why,
        )
    of_grant = facts.grant.why if facts.grant else ()
    reasons = dict.fromkeys([*bound, *ask.why, *of_grant])
    return ScalingStatus(
        want=ask.want,
        granted=decision.grant,
        ready=_ready_count(decision),
        why=[text[:512] for text in reasons][:16],
    )


def _bound(facts: ModelFacts, decision: Decision) -> tuple[str, ...]:
    """Return the bound that changed the number of the grant: a schedule that has opened since."""
    allowed, grant, before = decision.allowed, decision.grant, facts.status.scaling
    asked = facts.grant.replicas if facts.grant else before.granted if before else grant
    if asked == grant or (facts.spec and facts.spec.replicas is not None):
        return ()
    if grant == allowed.low and allowed.low_why is not None:
        return (f"{allowed.low_why} {allowed.low}",)
    if grant == allowed.high and allowed.high_why is not None:
        return (f"{allowed.high_why} {allowed.high}",)
    return ()


def _ready_count(decision: Decision) -> int:
    return sum(v.ready for v in (decision.roles.stable, decision.roles.candidate) if v is not None)


def _rollout(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> RolloutStatus | None:
    before = facts.status.rollout
    candidate = decision.roles.candidate
    if decision.is_paused and before is not None and candidate is not None:
        # The strategy goes on from this state when the pause ends.
        is_same = candidate.name == facts.status.candidate
        return before.model_copy(update={"why": "spec.paused is true"}) if is_same else None
    if decision.step is None or not decision.moving or decision.roles.stable is None:
        return None
    return RolloutStatus(
        strategy=spec.rollout.strategy,
        step=decision.step.name,
        why=f"{decision.moving}{_above(spec, decision)}"[:512],
        start_time=before.start_time if before else rfc3339(facts.now),
        state=dict(decision.step.state) or None,
    )


def _above(spec: MLModelSpec, decision: Decision) -> str:
    """Return a note when two versions together exceed the maximum, which holds for each version."""
    maximum, field = decision.allowed.high, decision.allowed.high_why
    if spec.replicas is not None or sum(decision.targets.values()) <= maximum:
        return ""
    bound = f"{field or 'scaling.maxReplicas'} {maximum}"
    return f"; until then both versions together have more than {bound}"


def _versions(facts: ModelFacts, roles: Roles) -> list[VersionSummary]:
    newest = sorted(facts.versions, key=lambda v: -v.number)[:SHOWN_VERSIONS]
    summaries = []
    for version in newest:
        if version is roles.stable:
            outcome = "Stable"
        elif version is roles.candidate:
            outcome = "Candidate"
        else:
            outcome = "Retired"
        artifact = version.spec.artifact
        summaries.append(
            VersionSummary.model_validate(
                {
                    "name": version.name,
                    "digest": artifact.digest if artifact else None,
                    "outcome": outcome,
                }
            )
        )
    return summaries
