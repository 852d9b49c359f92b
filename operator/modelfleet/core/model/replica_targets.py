"""Replicas of each version: the grant, never under the floors of the rollout.

Called by `decide`. Must never give a version with weight less than what it is seen to serve.
"""

from collections.abc import Mapping
from datetime import datetime

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.strategies import Step
from modelfleet.core.model.roles import Roles
from modelfleet.core.scaling.schedules import Bounds
from modelfleet.facts.model import ModelFacts, VersionFacts


def granted(facts: ModelFacts, spec: MLModelSpec, allowed: Bounds) -> int:
    """Replicas of the grant; before the first one of this leader, those of the last decision.

    A model that was never decided on starts with one replica, even where zero is allowed: its
    version has to prove itself once. `spec.replicas` is taken as it is: whoever sets it has taken
    the bounds over too.
    """
    if spec.replicas is not None:
        return spec.replicas
    if facts.grant is not None and spec.scaling.mode == "Auto":
        number = facts.grant.replicas
    elif not facts.gateways.is_used and spec.scaling.schedules:
        # Nobody measures, so nothing but the windows moves the number; at their end it goes back.
        number = allowed.low
    elif facts.status.scaling is not None:
        number = facts.status.scaling.granted
    else:
        number = max(1, allowed.low)
    return min(max(number, allowed.low), allowed.high)


def replica_targets(
    roles: Roles, step: Step | None, grant: int, kept_warm: str | None
) -> Mapping[str, int]:
    """Replicas wanted for each version by name; `kept_warm` is the former stable one, if any."""
    result: dict[str, int] = {}
    if roles.stable is not None:
        result[roles.stable.name] = grant
    if roles.candidate is not None:
        result[roles.candidate.name] = max(grant, 1)
    for name, floor in (step.floors if step else {}).items():
        if name in result:
            result[name] = max(result[name], floor if name != _name(roles.stable) else 0)
    for version in roles.others:
        # A former stable version stays as it is, but never larger than the grant.
        is_kept = version.name == kept_warm
        result[version.name] = min(version.replicas, max(grant, 1)) if is_kept else 0
    return result


def _name(version: VersionFacts | None) -> str | None:
    return version.name if version else None


def is_kept_warm(facts: ModelFacts, version: str) -> bool:
    """Whether `version` is the former stable one and its time is not over."""
    until = facts.status.retained_until
    return (
        facts.status.retained == version
        and until is not None
        and facts.now < datetime.fromisoformat(until)
    )
