"""decide(facts) -> Plan: every decision about one model, in one pure function.

This module only sequences: validation, version, roles, step, gates, targets, drain, objects, route,
status, events. The plan that it returns goes through `model.invariants` and is applied by
`engine.model.turn`. Must never keep state between two calls.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from modelfleet.api.conditions import rfc3339
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.catalog import strategies
from modelfleet.core.model import (
    drain,
    events,
    next_route,
    obstacles,
    replica_targets,
    status,
    wanted_objects,
)
from modelfleet.core.model.decision import Decision
from modelfleet.core.model.gating import gated
from modelfleet.core.model.roles import Roles, roles_of
from modelfleet.core.model.validation import check_names, check_schedules
from modelfleet.core.model.version.wanted_version import WantedVersion, wanted_version_of
from modelfleet.core.scaling.schedules import bounds
from modelfleet.errors import Refused
from modelfleet.facts.model import ModelFacts, VersionFacts
from modelfleet.facts.plan import Plan, VersionLearned
from modelfleet.facts.route import Route

HEALING_SECONDS = 5.0
"""Seconds between two turns while an obstacle exists, even if no watch reports a change."""


DRAIN_PATIENCE = 60.0
"""Seconds after which a drain that waits is named in the status; most end sooner."""


def decide(facts: ModelFacts) -> Plan:
    """Return the plan for one model.

    A fault in the spec sets the condition Stalled; the versions that serve go on unchanged.
    """
    if facts.spec is None:
        text = facts.spec_error or "the spec cannot be read"
        return Plan(status=status.refused(facts, Reason.INVALID_SPEC, text), why=text)
    try:
        check_names(facts.spec)
        check_schedules(facts.spec)
        wanted = wanted_version_of(facts, facts.spec)
    except Refused as refusal:
        unchanged = _serve(facts, facts.spec, WantedVersion(version=None))
        refused_status = status.refused(
            replace(facts, status=unchanged.status), refusal.reason, str(refusal)
        )
        plan = replace(unchanged, status=refused_status, why=str(refusal))
        return replace(plan, events=events.since(facts, plan))
    return _with_events(facts, _serve(facts, facts.spec, wanted))


def _with_events(facts: ModelFacts, plan: Plan) -> Plan:
    return replace(plan, events=events.since(facts, plan))


def _serve(facts: ModelFacts, spec: MLModelSpec, wanted: WantedVersion) -> Plan:
    """Return the plan for a valid spec."""
    decision = _decision(facts, spec, wanted)
    moves = _moves(facts, decision)
    waits = [move.waits for move in moves if move.waits_for]
    lasting = [w for w in waits if facts.cause_seconds.get(_cause(w), 0.0) >= DRAIN_PATIENCE]
    decision = replace(decision, drain_waits=lasting[0] if lasting else "")
    obstacle = decision.obstacle
    causes = frozenset({*map(_cause, waits), *([obstacle.cause] if obstacle else [])})
    if decision.leads(facts):
        decided = status.status_of(facts, spec, decision)
        why = decision.moving or "decision"
        return Plan(status=decided, causes=causes, why=why, targets=decision.targets)
    creates = () if spec.paused and facts.status.stable else wanted.create
    to_create, repairs = wanted_objects.needed(facts, spec, decision.roles, decision.targets)
    deletes = (
        *wanted.deletes,
        *wanted_objects.useless_pods(facts, decision.roles),
        *wanted_objects.surplus(facts, decision.roles, is_confirmed=decision.is_confirmed),
        *wanted_objects.forgotten(facts, decision.roles, spec.rollout.history_limit),
    )
    return Plan(
        status=status.status_of(facts, spec, decision),
        creates=(*creates, *to_create),
        repairs=repairs,
        pods=tuple(pod for move in moves for pod in move.pods),
        scales=tuple(move.scale for move in moves if move.scale is not None),
        deletes=deletes,
        learned=_learned(facts),
        causes=causes,
        look_again_seconds=_look_again(facts, decision, moves),
        why=decision.moving or next(iter(waits), ""),
        targets=decision.targets,
    )


def _cause(drain_waits: str) -> str:
    """Return the name by which the turn measures how long a drain has waited for one thing."""
    return f"Drain:{drain_waits}"


def _decision(facts: ModelFacts, spec: MLModelSpec, wanted: WantedVersion) -> Decision:
    """Derive the decision; each value needs those before it."""
    roles = roles_of(facts, wanted.version, is_paused=spec.paused)
    allowed = bounds(spec.scaling, facts.now)
    grant = replica_targets.granted(facts, spec, allowed)
    present = next_route.present(facts)
    confirmed = next_route.is_confirmed(facts, present)
    step = _step(facts, spec, roles, grant, confirmed=confirmed)
    if step is not None and step.is_complete and roles.candidate is not None:
        roles = _promoted(roles, roles.candidate)
    retained, retained_until = _retained(facts, spec, roles, step)
    moving_step = None if step is None or step.is_complete else step
    weights = _weights(roles, step, present)
    route = next_route.next_route(facts, spec, weights, _named(roles)) if weights else present
    has_served = facts.status.stable is not None
    is_held_back = wanted.version is None or wanted.version is not roles.stable
    return Decision(
        spec=spec,
        wanted=wanted,
        roles=roles,
        step=step,
        allowed=allowed,
        grant=grant,
        targets=replica_targets.replica_targets(roles, moving_step, grant, retained),
        route=route,
        is_confirmed=confirmed,
        retained=retained,
        retained_until=retained_until,
        obstacle=obstacles.worst(facts, wanted, roles),
        is_paused=spec.paused and has_served and is_held_back,
        moving=_moving(facts, roles, step, wanted),
        waits_for_gateways=_waits_for_gateways(facts, step),
    )


def _step(
    facts: ModelFacts, spec: MLModelSpec, roles: Roles, grant: int, *, confirmed: bool
) -> strategies.Step | None:
    if roles.candidate is None or (spec.paused and roles.stable is not None):
        return None
    involved = [v for v in (roles.stable, roles.candidate) if v is not None]
    present = next_route.present(facts)
    rollout = strategies.RolloutFacts(
        stable=roles.stable.name if roles.stable else None,
        candidate=roles.candidate.name,
        in_effect={v.name: next_route.in_effect(facts, v) for v in involved},
        needed=max(1, grant),
        weights={s.version: s.weight for s in present.weights} if present else {},
        is_confirmed=confirmed if facts.gateways.is_used else True,
        now=facts.now,
        params=spec.rollout,
        is_known=not facts.gateways.silent and not facts.gateways.rejections,
        state=_state(facts, roles.candidate),
        evidence=facts.evidence,
    )
    if not facts.gateways.is_used:
        # Without a gateway no weights exist, so the rollout waits for ready replicas only.
        rollout = replace(rollout, weights={roles.candidate.name: 100})
    strategy = strategies.strategy_named(spec.rollout.strategy)
    return None if strategy is None else gated(strategy.step(rollout), rollout)


def _state(facts: ModelFacts, candidate: VersionFacts) -> Mapping[str, str]:
    """Return the state of this rollout's last step; another candidate begins without one."""
    rollout = facts.status.rollout
    is_same = rollout is not None and facts.status.candidate == candidate.name
    return (rollout.state or {}) if rollout is not None and is_same else {}


def _promoted(roles: Roles, candidate: VersionFacts) -> Roles:
    others = roles.others if roles.stable is None else (*roles.others, roles.stable)
    return Roles(candidate, None, tuple(sorted(others, key=lambda v: v.number)))


def _weights(
    roles: Roles, step: strategies.Step | None, present: Route | None
) -> Mapping[str, int]:
    if step is not None and not step.is_complete:
        return step.weights
    serving = roles.stable
    if serving is None:
        return {}
    if step is None and roles.candidate is not None and present is not None:
        # Paused in the middle of a rollout: the weights stay as they are.
        involved = {serving.name, roles.candidate.name}
        present_weights = {s.version: s.weight for s in present.weights if s.version in involved}
        if sum(present_weights.values()) == next_route.HUNDRED:
            return present_weights
    return {serving.name: 100}


def _named(roles: Roles) -> tuple[str, ...]:
    """Return the versions that stay in the route at weight 0 while any part of them exists."""
    extra = () if roles.candidate is None else (roles.candidate.name,)
    return (*extra, *(v.name for v in roles.others if v.replicas > 0 or v.pods))


def _moves(facts: ModelFacts, decision: Decision) -> tuple[drain.Drain, ...]:
    """Return the changes of each version's pods and replicas, by the route now in effect."""
    roles, routed = decision.roles, next_route.present(facts)
    moves = []
    for version in (roles.stable, roles.candidate, *roles.others):
        if version is None:
            continue
        target = decision.targets.get(version.name, 0)
        # Only the version that owns the route may be emptied while it can still get traffic:
        # at zero replicas, held requests wake it. Any other version first loses its weight in
        # every gateway.
        owns_route = version is roles.stable
        may_leave = target > 0 or owns_route or next_route.has_left(facts, routed, version.name)
        if not facts.gateways.is_used:
            may_leave = True
        move = drain.next_drain(facts, version, target, may_leave=may_leave)
        moves.append(replace(move, version=version.name))
    return tuple(moves)


def _waits_for_gateways(facts: ModelFacts, step: strategies.Step | None) -> bool:
    """Return whether a silent gateway keeps the rollout from going on."""
    is_waiting = step is not None and not step.is_complete and step.waits_for_gateways
    return is_waiting and bool(_silent(facts))


def _silent(facts: ModelFacts) -> tuple[str, ...]:
    """Return gateways that have not reported the model, and those whose stream is broken."""
    expected = facts.gateways.acknowledged
    broken = [name for name in facts.gateways.disconnected if name in expected]
    return tuple(sorted({*facts.gateways.silent, *broken}))


def _moving(
    facts: ModelFacts,
    roles: Roles,
    step: strategies.Step | None,
    wanted: WantedVersion,
) -> str:
    if step is not None and not step.is_complete:
        if facts.gateways.rejections:
            return f"gateway {min(facts.gateways.rejections)} refuses the route; its weights stay"
        if _waits_for_gateways(facts, step):
            return f"gateway {_silent(facts)[0]} is silent; {step.why}"
        return step.why
    if wanted.is_resolving:
        return "the artifact's digest is being determined"
    if wanted.create or wanted.obstacle is not None or roles.serving is None:
        return "a new version is being created"
    return ""


def _retained(
    facts: ModelFacts, spec: MLModelSpec, roles: Roles, step: strategies.Step | None
) -> tuple[str | None, str | None]:
    """Return the former version that is kept warm, and until when; a promotion sets both."""
    former = facts.version(facts.status.stable)
    is_promotion = step is not None and step.is_complete
    seconds = spec.rollout.keep_warm_seconds
    if seconds is None:
        has_accelerator = spec.resources.accelerator is not None
        seconds = 0 if has_accelerator else facts.defaults.keep_warm_seconds
    new_until = rfc3339(facts.now + timedelta(seconds=seconds))
    if is_promotion and former is not None and former is not roles.stable and seconds > 0:
        return former.name, new_until
    retained = facts.status.retained
    if retained is not None and facts.status.retained_until is None:
        # The time cannot be read: it begins again.
        return (retained, new_until) if facts.version(retained) in roles.others else (None, None)
    if (
        retained is not None
        and replica_targets.is_kept_warm(facts, retained)
        and facts.version(retained) in roles.others
    ):
        return retained, facts.status.retained_until
    return None, None


def _learned(facts: ModelFacts) -> tuple[VersionLearned, ...]:
    """Return the outcomes of versions to write into their status.

    They follow from the model's status, which is written first. Without gateways nothing is
    learned, so nothing is written.
    """
    if not facts.gateways.is_used:
        return ()
    outcomes = []
    for version in facts.versions:
        if version.name == facts.status.stable:
            outcome = "Stable"
        elif version.name == facts.status.candidate or version.outcome is None:
            continue
        else:
            outcome = "Retired"
        image = version.first_image
        if version.outcome != outcome or version.image_id != image:
            seconds = version.startup_seconds
            rounded = None if seconds is None else int(round(seconds, 1) * 1000)
            outcomes.append(VersionLearned(version.name, outcome, rounded, image))
    return tuple(outcomes)


def _look_again(
    facts: ModelFacts, decision: Decision, moves: tuple[drain.Drain, ...]
) -> float | None:
    """Return the seconds until time alone could change the plan; None when it cannot."""
    delays = []
    if decision.wanted.look_again_seconds is not None:
        delays.append(decision.wanted.look_again_seconds)
    if decision.obstacle is not None:
        delays.append(HEALING_SECONDS)
    if any(move.waits_for for move in moves):
        delays.append(1.0)
    if decision.retained_until is not None:
        delays.append(_until(facts, decision.retained_until))
    if decision.allowed.edge_seconds is not None:
        delays.append(decision.allowed.edge_seconds)
    if decision.step is not None and decision.step.look_again_seconds is not None:
        delays.append(decision.step.look_again_seconds)
    starting = [
        v
        for v in (decision.roles.stable, decision.roles.candidate)
        if v is not None and v.ready < v.replicas
    ]
    delays += [HEALING_SECONDS for _ in starting]
    return max(0.1, min(delays)) if delays else None


def _until(facts: ModelFacts, moment: str) -> float:
    return (facts.now.fromisoformat(moment) - facts.now).total_seconds()
