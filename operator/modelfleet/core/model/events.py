"""Events for people, from the difference between the old status and the plan.

Called by `decide`. An event says what changed and why; what merely is stands in the status.
"""

from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import EventFact, Plan


def since(facts: ModelFacts, plan: Plan) -> tuple[EventFact, ...]:
    """Events of this turn, in the order in which people want to read them."""
    before, after = facts.status, plan.status
    found: list[EventFact] = []
    if before.stable is not None and after.candidate not in {None, before.candidate}:
        found.append(EventFact("Normal", "RolloutStarted", f"{after.candidate} is to take over"))
    if before.stable is not None and after.stable != before.stable:
        text = f"{after.stable} serves all traffic; before it was {before.stable}"
        found.append(EventFact("Normal", "RolloutComplete", text))
    found += _scaled(before, after)
    found += _turned_bad(before, after)
    return tuple(found)


def _scaled(before: MLModelStatus, after: MLModelStatus) -> list[EventFact]:
    if before.scaling is None or after.scaling is None:
        return []
    if before.scaling.granted == after.scaling.granted:
        return []
    why = after.scaling.why[0] if after.scaling.why else ""
    text = f"{before.scaling.granted} -> {after.scaling.granted} replicas: {why}"
    return [EventFact("Normal", "Scaled", text[:900])]


def _turned_bad(before: MLModelStatus, after: MLModelStatus) -> list[EventFact]:
    was = {c.type: c for c in before.conditions}
    found = []
    for condition in after.conditions:
        if condition.type not in {"Stalled", "Degraded"} or condition.status != "True":
            continue
        old = was.get(condition.type)
        if old is None or old.status != "True" or old.reason != condition.reason:
            found.append(EventFact("Warning", condition.reason, condition.message[:900]))
    return found
