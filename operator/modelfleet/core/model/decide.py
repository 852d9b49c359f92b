"""decide(facts) -> Plan: everything about one model in one pure function.

Called by `model.turn` and by the simulator. It only sequences: check, version, roles, step,
split, drain, objects, route, status, events. Must never remember anything between two calls.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from modelfleet.api.conditions import Reason
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog import strategies
from modelfleet.core.model import (
    drain,
    events,
    next_route,
    obstacles,
    replica_targets,
    status,
    wanted_objects,
    wanted_version,
)
from modelfleet.core.model.roles import Roles, roles_of
from modelfleet.core.model.validation import check_schedules
from modelfleet.core.scaling.schedules import bounds
from modelfleet.errors import Refused
from modelfleet.facts.model import Fault, ModelFacts, VersionFacts
from modelfleet.facts.plan import Plan, PodService, Scale, VersionLearned
from modelfleet.facts.route import Route

HEALING_SECONDS = 5.0
"""While something stands in the way we look again this often, whatever the watches say."""


def decide(facts: ModelFacts) -> Plan:
    """The plan for one model. A fault inside the spec keeps what serves as it is."""
    if facts.spec is None:
        text = facts.spec_error or "the spec cannot be read"
        return Plan(status=status.refused(facts, Reason.INVALID_SPEC, text), why=text)
    try:
        check_schedules(facts.spec)
        wanted = wanted_version.wanted_version_of(facts, facts.spec)
    except Refused as fault:
        kept = _serve(facts, facts.spec, wanted_version.WantedVersion(version=None))
        claims = status.refused(replace(facts, status=kept.status), fault.reason, str(fault))
        refused = replace(kept, status=claims, why=str(fault))
        return replace(refused, events=events.since(facts, refused))
    return _with_events(facts, _serve(facts, facts.spec, wanted))


def _with_events(facts: ModelFacts, plan: Plan) -> Plan:
    return replace(plan, events=events.since(facts, plan))


def _serve(facts: ModelFacts, spec: MLModelSpec, wanted: wanted_version.WantedVersion) -> Plan:
    creates = () if spec.paused and facts.status.stable else wanted.create
    roles = roles_of(facts, wanted.version, is_paused=spec.paused)
    allowed = bounds(spec.scaling, facts.now)
    grant = replica_targets.granted(facts, spec, allowed)
    now_routed = next_route.present(facts)
    confirmed = next_route.is_confirmed(facts, now_routed)
    step = _step(facts, spec, roles, grant, confirmed=confirmed)
    if step is not None and step.is_complete and roles.candidate is not None:
        roles = _promoted(roles, roles.candidate)
    retained = _retained(facts, spec, roles, step)
    moving_step = None if step is None or step.is_complete else step
    targets = replica_targets.replica_targets(roles, moving_step, grant, retained[0])
    to_create, repairs = wanted_objects.needed(facts, spec, roles, targets)
    weights = _weights(roles, step, now_routed)
    routed = next_route.next_route(facts, spec, weights, _named(roles)) if weights else now_routed
    moves = _moves(facts, roles, targets, now_routed, confirmed=confirmed)
    obstacle = _obstacle(facts, wanted, roles)
    course = status.Course(step, grant, routed, confirmed, *retained, allowed, targets)
    picture = _picture(facts, spec, roles, course, (wanted, obstacle))
    if _is_news(facts, roles, grant):
        # A decision is written before anything that follows from it: a leader that dies here
        # must not find the consequences of what it cannot know of, and undo them.
        decided = status.status_of(facts, spec, picture)
        return Plan(status=decided, why=picture.moving or "decision", targets=targets)
    deletes = (
        *wanted.deletes,
        *wanted_objects.surplus(facts, roles, is_confirmed=confirmed),
        *wanted_objects.forgotten(facts, roles, spec.rollout.history_limit),
    )
    return Plan(
        status=status.status_of(facts, spec, picture),
        creates=(*creates, *to_create),
        repairs=repairs,
        pods=_flat_pods(moves),
        scales=_flat_scales(moves),
        deletes=deletes,
        learned=_learned(facts),
        causes=frozenset({obstacle.cause}) if obstacle else frozenset(),
        look_again_seconds=_look_again(facts, picture, wanted, moves),
        why=picture.moving or next((m.waits_for for m in moves if m.waits_for), ""),
        targets=targets,
    )


def _is_news(facts: ModelFacts, roles: Roles, grant: int) -> bool:
    """A promotion, or another number of replicas, that the status does not say yet."""
    if roles.stable is not None and roles.stable.name != facts.status.stable:
        return True
    said = facts.status.scaling
    return said is not None and roles.serving is not None and said.granted != grant


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
        is_known=not facts.gateways.silent,
    )
    if not facts.gateways.is_used:
        # Without a gateway no weights exist; ready replicas are all there is to wait for.
        rollout = replace(rollout, weights={roles.candidate.name: 100})
    return strategies.strategy_named(spec.rollout.strategy).step(rollout)


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
        # Paused in the middle: the weights stay where they are.
        involved = {serving.name, roles.candidate.name}
        kept = {s.version: s.weight for s in present.weights if s.version in involved}
        if sum(kept.values()) == next_route.HUNDRED:
            return kept
    return {serving.name: 100}


def _named(roles: Roles) -> tuple[str, ...]:
    """Versions that stay configured at weight 0 while anything of them exists."""
    extra = () if roles.candidate is None else (roles.candidate.name,)
    return (*extra, *(v.name for v in roles.others if v.replicas > 0 or v.pods))


def _moves(
    facts: ModelFacts,
    roles: Roles,
    targets: Mapping[str, int],
    routed: Route | None,
    *,
    confirmed: bool,
) -> tuple[drain.Drain, ...]:
    found = []
    for one in (roles.stable, roles.candidate, *roles.others):
        if one is None:
            continue
        target = targets.get(one.name, 0)
        weight = routed.weight_of(one.name) if routed else 0
        # To empty a version that may still get traffic is right only for the one that owns the
        # route (to zero, held requests wake it); any other first loses its weight everywhere.
        owns_route = one is roles.stable
        may_leave = target > 0 or owns_route or (confirmed and weight == 0)
        if not facts.gateways.is_used:
            may_leave = True
        found.append(drain.next_drain(facts, one, target, may_leave=may_leave))
    return tuple(found)


def _flat_pods(moves: tuple[drain.Drain, ...]) -> tuple[PodService, ...]:
    return tuple(pod for move in moves for pod in move.pods)


def _flat_scales(moves: tuple[drain.Drain, ...]) -> tuple[Scale, ...]:
    return tuple(move.scale for move in moves if move.scale is not None)


def _obstacle(
    facts: ModelFacts, wanted: wanted_version.WantedVersion, roles: Roles
) -> obstacles.Obstacle | None:
    """The one that matters most: what keeps the wanted version back, then what ails the stable."""
    if facts.taken:
        from_taken = min(facts.taken)
        fault = Fault("NameTaken", f"{from_taken} exists and is not ours", is_hopeless=True)
        return obstacles.of_fault(facts, Reason.NAME_TAKEN, fault, "")
    if facts.refused:
        return obstacles.of_fault(
            facts, Reason.CREATE_REFUSED, facts.refused[min(facts.refused)], ""
        )
    if wanted.obstacle is not None:
        reason, fault = wanted.obstacle
        return obstacles.of_fault(facts, reason, fault, "")
    for one in (roles.candidate, roles.stable):
        found = obstacles.of_version(facts, one) if one is not None else None
        if found is not None:
            return found
    return None


def _picture(
    facts: ModelFacts,
    spec: MLModelSpec,
    roles: Roles,
    course: status.Course,
    hindrance: tuple[wanted_version.WantedVersion, obstacles.Obstacle | None],
) -> status.Picture:
    wanted, obstacle = hindrance
    is_paused = (
        spec.paused
        and facts.status.stable is not None
        and (wanted.version is None or wanted.version is not roles.stable)
    )
    return status.Picture(
        roles=roles,
        course=course,
        obstacle=obstacle,
        is_resolving=wanted.is_resolving,
        is_paused=is_paused,
        moving=_moving(facts, roles, course.step, wanted),
    )


def _moving(
    facts: ModelFacts,
    roles: Roles,
    step: strategies.Step | None,
    wanted: wanted_version.WantedVersion,
) -> str:
    if step is not None and not step.is_complete:
        if facts.gateways.silent and not step.why.startswith("waits for the first"):
            return f"gateway {facts.gateways.silent[0]} is silent; {step.why}"
        return step.why
    if wanted.is_resolving:
        return "the artifact's digest is being determined"
    if wanted.create or wanted.obstacle is not None or roles.serving is None:
        return "a new version is being made"
    return ""


def _retained(
    facts: ModelFacts, spec: MLModelSpec, roles: Roles, step: strategies.Step | None
) -> tuple[str | None, str | None]:
    """Which former version is kept warm, and until when; set at the moment of promotion."""
    former = facts.version(facts.status.stable)
    is_promotion = step is not None and step.is_complete
    if is_promotion and former is not None and former is not roles.stable:
        seconds = spec.rollout.keep_warm_seconds
        if seconds is None:
            has_accelerator = spec.resources.accelerator is not None
            seconds = 0 if has_accelerator else facts.defaults.keep_warm_seconds
        if seconds > 0:
            until = (facts.now + timedelta(seconds=seconds)).replace(microsecond=0)
            return former.name, until.isoformat()
    kept = facts.status.retained
    if (
        kept is not None
        and replica_targets.is_kept_warm(facts, kept)
        and facts.version(kept) in roles.others
    ):
        return kept, facts.status.retained_until
    return None, None


def _learned(facts: ModelFacts) -> tuple[VersionLearned, ...]:
    """Outcomes for the ledger, of what the status says already.

    Without gateways nothing is learned, and nothing written.
    """
    if not facts.gateways.is_used:
        return ()
    found = []
    for one in facts.versions:
        if one.name == facts.status.stable:
            outcome = "Stable"
        elif one.name == facts.status.candidate or one.outcome is None:
            continue
        else:
            outcome = "Retired"
        if one.outcome != outcome:
            seconds = one.startup_seconds
            rounded = None if seconds is None else int(round(seconds, 1) * 1000)
            found.append(VersionLearned(one.name, outcome, rounded))
    return tuple(found)


def _look_again(
    facts: ModelFacts,
    picture: status.Picture,
    wanted: wanted_version.WantedVersion,
    moves: tuple[drain.Drain, ...],
) -> float | None:
    """The soonest moment at which time alone could change the plan; None when none can."""
    found = []
    if wanted.look_again_seconds is not None:
        found.append(wanted.look_again_seconds)
    if picture.obstacle is not None:
        found.append(HEALING_SECONDS)
    if any(move.waits_for for move in moves):
        found.append(1.0)
    if picture.course.retained_until is not None:
        found.append(_until(facts, picture.course.retained_until))
    if picture.course.allowed.edge_seconds is not None:
        found.append(picture.course.allowed.edge_seconds)
    starting = [
        v
        for v in (picture.roles.stable, picture.roles.candidate)
        if v is not None and v.ready < v.replicas
    ]
    found += [HEALING_SECONDS for _ in starting]
    return max(0.1, min(found)) if found else None


def _until(facts: ModelFacts, moment: str) -> float:
    return (facts.now.fromisoformat(moment) - facts.now).total_seconds()
