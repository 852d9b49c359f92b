"""The warning that requests cannot be held for as long as a replica needs to start.

`model.status` sets it as the reason `HoldTooShort` of the condition Degraded.
"""

import math

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.core.model.decision import Decision
from modelfleet.facts.model import ModelFacts

ROUNDED_SECONDS = 10


def hold_warning(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> str:
    """Return the warning; empty for a model that cannot sleep or starts in time.

    Worked example: a start of 72 s and a hold of 50 s give "about 80 s". Each start takes another
    time, and each other text would be a write, so the time is rounded up.
    """
    stable, hold = decision.roles.stable, spec.scaling.hold.max_seconds
    can_sleep = facts.gateways.is_used and decision.allowed.low == 0 and spec.replicas is None
    startup = stable.startup_seconds if stable is not None and can_sleep else None
    if startup is None or startup <= hold:
        return ""
    seconds = math.ceil(startup / ROUNDED_SECONDS) * ROUNDED_SECONDS
    return (
        f"a replica needs about {seconds} s to start, but scaling.hold.maxSeconds is {hold}: the"
        " first requests after sleep get 503; raise it, or set scaling.minReplicas to 1"
    )
