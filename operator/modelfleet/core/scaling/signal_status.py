"""The signals of a spec as values, and what is said of their readings.

Called by `model.turn` for the tick, and by `status` for the condition. Must never say what moves
while nothing changes: each new text is a write to the API server.
"""

from collections.abc import Sequence

from modelfleet.api.base import amount
from modelfleet.api.conditions import Condition, ConditionType
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.readings import Reading, SignalSpec

SIGNAL_REASONS = frozenset(
    {
        Reason.PROMETHEUS_OFF,
        Reason.PROMETHEUS_SILENT,
        Reason.QUERY_FAILED,
        Reason.MANY_SERIES,
        Reason.NO_SERIES,
        Reason.WRONG_VALUE,
        Reason.STALE_SIGNAL,
    }
)
Said = tuple[bool, Reason, str]
"""Whether the metrics are there, why, and the sentence."""


def signals_of(spec: MLModelSpec) -> tuple[SignalSpec, ...]:
    """What a model follows beside its traffic, in the order of the spec."""
    return tuple(
        SignalSpec(one.name, amount(one.target), one.query, one.metric)
        for one in spec.scaling.signals or ()
    )


def said_of(
    wanted: Sequence[SignalSpec], readings: Sequence[Reading], before: Condition | None
) -> Said | None:
    """The fault of the signals, the first by name leading; None when all is well.

    What a new leader does not know yet goes on being said as it was.
    """
    known = {reading.spec: reading for reading in readings if reading.is_known}
    found = ((spec.name, known[spec].fault) for spec in wanted if spec in known)
    faults = sorted((name, fault) for name, fault in found if fault is not None)
    if faults:
        texts = dict.fromkeys(f"signal '{name}': {fault.message}" for name, fault in faults)
        return False, faults[0][1].reason, f"{'; '.join(texts)}; the last number is kept"[:2000]
    is_all_known = all(spec in known for spec in wanted)
    if wanted and not is_all_known and before is not None and before.reason in SIGNAL_REASONS:
        return before.status == "True", Reason(before.reason), before.message
    return None


def available(facts: ModelFacts, spec: MLModelSpec) -> Said:
    """Whether everything that the replicas follow has a value now."""
    signals = signals_of(spec)
    if not facts.gateways.is_used and signals:
        text = "scaling.signals are followed only where the operator's MODELFLEET_GATEWAY is On"
        return (False, Reason.NOT_USED, text)
    if not facts.gateways.is_used:
        return (True, Reason.NOT_USED, "no gateway measures traffic")
    before = next(
        (c for c in facts.status.conditions if c.type == ConditionType.METRICS_AVAILABLE), None
    )
    # What a new leader has not heard yet it does not claim: the last one's word stands.
    was_silent = before is not None and before.reason == Reason.NO_SAMPLES
    if facts.metrics_fresh is False or (facts.metrics_fresh is None and was_silent):
        text = "a gateway does not report; the last number of replicas is kept"
        return (False, Reason.NO_SAMPLES, text)
    said = said_of(signals, facts.readings, before)
    return (True, Reason.SAMPLED, "every gateway reports") if said is None else said
