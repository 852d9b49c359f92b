"""Overload of a model: arrivals over the requests that its replicas can answer, for people.

`scaling.tick` computes the factor from a model's buckets; `model.status` writes the message. The
factor is rounded and changes slowly, because every other text is a write to the API server.
"""

from collections.abc import Iterable

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.scaling import Bucket

NONE = 1.0
"""The factor of a model that refuses no request."""
RECENT_SECONDS = 5.0
CALM_SECONDS = 30.0
"""An overload ends after this many seconds without a refusal."""
MIN_REFUSED, MIN_SHARE, MIN_BUCKETS = 3, 0.01, 4
"""Below these a refusal is a matter of one moment, not an overload."""
STEPS = (1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def overload_factor(buckets: Iterable[Bucket], now: float, before: float) -> float:
    """Return arrivals over accepted requests of the last seconds, rounded; 1 without an overload.

    `before` is the last result: it stays while the factor is at most one step away from it. Worked
    example: 300 arrive and 200 of them are refused: 3.
    """
    calm = [b for b in buckets if now - b.at <= CALM_SECONDS]
    recent = [b for b in calm if now - b.at <= RECENT_SECONDS and b.refused]
    refused = sum(b.refused for b in recent)
    arrivals = max(sum(b.arrivals for b in recent), refused)
    is_sure = len(recent) >= MIN_BUCKETS and refused >= max(MIN_REFUSED, MIN_SHARE * arrivals)
    if not is_sure:
        is_over = before <= NONE or not any(b.refused for b in calm)
        return NONE if is_over else before
    factor = arrivals / max(arrivals - refused, 1)
    index = min(range(len(STEPS)), key=lambda i: abs(STEPS[i] - factor) / STEPS[i])
    if before in STEPS and abs(STEPS.index(before) - index) <= 1:
        return before
    return STEPS[index]


def message(facts: ModelFacts, spec: MLModelSpec, granted: int, most: int) -> str:
    """Return the effect of an overload and the advice; empty without one.

    `most` replicas are allowed now.
    """
    if facts.overload is None:
        # A new leader has not watched long enough: the last leader's message stays.
        overloaded = [c for c in facts.status.conditions if c.reason == Reason.OVERLOADED]
        return overloaded[0].message if overloaded else ""
    if facts.overload <= NONE:
        return ""
    text = (
        f"about {facts.overload:g} times as many requests arrive as {granted}"
        f" {'replica' if granted == 1 else 'replicas'} can answer in time; the others get 503 with"
        " Retry-After"
    )
    return f"{text}; {_advice(spec, granted, most)}"


def _advice(spec: MLModelSpec, granted: int, most: int) -> str:
    if spec.replicas is not None:
        return f"raise spec.replicas ({spec.replicas}) or remove it"
    if spec.scaling.mode != "Auto":
        return f"scaling.mode is {spec.scaling.mode}: set Auto to let replicas follow"
    if granted < most:
        return "more replicas are added as the demand is measured"
    return f"raise scaling.maxReplicas ({most}) or make the requests cheaper"
