"""Replicas of each version: the grant for the stable one, the step's floor for the candidate.

`model.drain` then moves pods and Deployments to these numbers. Must never give a version with
weight fewer replicas than carry its present load.
"""

from collections.abc import Mapping
from datetime import datetime

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.strategies import Step
from modelfleet.core.model.roles import Roles
from modelfleet.core.scaling.schedules import Bounds
from modelfleet.facts.model import ModelFacts


def granted(facts: ModelFacts, spec: MLModelSpec, allowed: Bounds) -> int:
    """Return the replicas of the grant, within the bounds.

    Before this leader's first grant, the number of the last decision holds. Without a decision that
    can be read, the replicas that run now are kept. A model that has never served gets one replica,
    even where the bounds allow zero: its version must serve once before a rollout counts as
    complete. `spec.replicas` is used unchanged: a user or autoscaler that sets it also takes over
    the bounds.
    """
    if spec.replicas is not None:
        return spec.replicas
    if facts.grant is not None and spec.scaling.mode == "Auto":
        replicas = facts.grant.replicas
    elif not facts.gateways.is_used and spec.scaling.schedules:
        # No gateway measures traffic: only schedules change the number, and their end resets it.
        replicas = allowed.low
    elif facts.status.scaling is not None:
        replicas = facts.status.scaling.granted
    else:
        running = max((version.replicas for version in facts.versions), default=0)
        replicas = max(1, running, allowed.low)
    has_never_served = facts.status.stable is None and facts.status.observed_generation >= 0
    least = max(1, allowed.low) if has_never_served else allowed.low
    return min(max(replicas, least), allowed.high)


def replica_targets(
    roles: Roles, step: Step | None, grant: int, kept_warm: str | None
) -> Mapping[str, int]:
    """Return the replicas wanted for each version by name.

    `kept_warm` names the former stable version that is kept warm, if there is one.
    """
    targets: dict[str, int] = {}
    floors = step.floors if step else {}
    if roles.stable is not None:
        targets[roles.stable.name] = max(grant, floors.get(roles.stable.name, 0))
    if roles.candidate is not None:
        targets[roles.candidate.name] = max(1, floors.get(roles.candidate.name, grant))
    for version in roles.others:
        # A former stable version keeps its replicas, but never more than the grant.
        is_kept = version.name == kept_warm
        targets[version.name] = min(version.replicas, max(grant, 1)) if is_kept else 0
    return targets


def is_kept_warm(facts: ModelFacts, version: str) -> bool:
    """Return whether `version` is the former stable version and its warm time is not over."""
    until = facts.status.retained_until
    return (
        facts.status.retained == version
        and until is not None
        and facts.now < datetime.fromisoformat(until)
    )
