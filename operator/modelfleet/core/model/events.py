"""Events for people, from the difference between the old status and the plan.

An event states a change and its reason; a state without change belongs into the status.
"""

from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import EventFact, Plan


def since(facts: ModelFacts, plan: Plan) -> tuple[EventFact, ...]:
    """Return the events of this turn: the rollout first, then scaling, then new faults."""
    before, after = facts.status, plan.status
    events: list[EventFact] = []
    if before.stable is not None and after.candidate not in {None, before.candidate}:
        text = f"{after.candidate} replaces {before.stable} as its replicas become ready"
        events.append(EventFact("Normal", "RolloutStarted", text))
    if before.stable is not None and after.stable != before.stable:
        text = f"{after.stable} serves all traffic; before it was {before.stable}"
        events.append(EventFact("Normal", "RolloutComplete", text))
    events += _scaled(before, after)
    events += _turned_bad(before, after)
    return tuple(events)


def _scaled(before: MLModelStatus, after: MLModelStatus) -> list[EventFact]:
    if before.scaling is None or after.scaling is None:
        return []
    if before.scaling.granted == after.scaling.granted:
        return []
    why = after.scaling.why[0] if after.scaling.why else ""
    text = f"{before.scaling.granted} -> {after.scaling.granted} replicas: {why}"
    return [EventFact("Normal", "Scaled", text[:900])]


def _turned_bad(before: MLModelStatus, after: MLModelStatus) -> list[EventFact]:
    conditions_before = {c.type: c for c in before.conditions}
    warnings = []
    for condition in after.conditions:
        if condition.type not in {"Stalled", "Degraded"} or condition.status != "True":
            continue
        old = conditions_before.get(condition.type)
        if old is None or old.status != "True" or old.reason != condition.reason:
            warnings.append(EventFact("Warning", condition.reason, condition.message[:900]))
    return warnings
