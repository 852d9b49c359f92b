"""Signals of a spec as values, and the condition that reports their readings.

`engine.model.turn` hands the values to the tick; `model.status` writes the condition. Must never
put a moving number into a text: each new text is a write to the API server.
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
        Reason.QUERY_NOT_ALLOWED,
        Reason.QUERY_FAILED,
        Reason.MANY_SERIES,
        Reason.NO_SERIES,
        Reason.WRONG_VALUE,
        Reason.STALE_SIGNAL,
    }
)
MetricsClaim = tuple[bool, Reason, str]
"""Whether the metrics are available, the reason, and the message."""


def signals_of(spec: MLModelSpec) -> tuple[SignalSpec, ...]:
    """Return the signals of `scaling.signals`, in the order of the spec."""
    return tuple(
        SignalSpec(signal.name, amount(signal.target), signal.query, signal.metric)
        for signal in spec.scaling.signals or ()
    )


def signal_claim(
    wanted: Sequence[SignalSpec], readings: Sequence[Reading], before: Condition | None
) -> MetricsClaim | None:
    """Return the fault of the signals, the first by name first; None without a fault.

    While a new leader has not read every signal, the last leader's message stays.
    """
    known = {reading.spec: reading for reading in readings if reading.is_known}
    faults_by_name = ((spec.name, known[spec].fault) for spec in wanted if spec in known)
    faults = sorted((name, fault) for name, fault in faults_by_name if fault is not None)
    if faults:
        texts = dict.fromkeys(f"signal '{name}': {fault.message}" for name, fault in faults)
        return False, faults[0][1].reason, f"{'; '.join(texts)}; the last number is kept"[:2000]
    is_all_known = all(spec in known for spec in wanted)
    if wanted and not is_all_known and before is not None and before.reason in SIGNAL_REASONS:
        return before.status == "True", Reason(before.reason), before.message
    return None


def available(facts: ModelFacts, spec: MLModelSpec) -> MetricsClaim:
    """Return whether every source that the replicas follow has a value now."""
    signals = signals_of(spec)
    if not facts.gateways.is_used and signals:
        text = "scaling.signals are followed only where the operator's MODELFLEET_GATEWAY is On"
        return (False, Reason.NOT_USED, text)
    if not facts.gateways.is_used:
        return (True, Reason.NOT_USED, "no gateway measures traffic")
    before = next(
        (c for c in facts.status.conditions if c.type == ConditionType.METRICS_AVAILABLE), None
    )
    # A new leader may have no report of a gateway yet: the last leader's condition stays.
    was_silent = before is not None and before.reason == Reason.NO_SAMPLES
    if facts.metrics_fresh is False or (facts.metrics_fresh is None and was_silent):
        text = "a gateway does not report; the last number of replicas is kept"
        return (False, Reason.NO_SAMPLES, text)
    claim = signal_claim(signals, facts.readings, before)
    return (True, Reason.SAMPLED, "every gateway reports") if claim is None else claim
