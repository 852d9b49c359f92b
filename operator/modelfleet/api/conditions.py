"""Condition types of an MLModel, and how a list of conditions is updated.

`model.status` sets them, health scripts and people read them. A type that was released is never
renamed. Reasons stand in `reasons`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelfleet.api.base import INT32_MAX, ApiObject, Timestamp
from modelfleet.api.reasons import Reason


class ConditionType(StrEnum):
    """What a condition speaks of. At rest the good ones are True and the bad ones False."""

    READY = "Ready"
    AVAILABLE = "Available"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    ROLLED_OUT = "RolledOut"
    SCALING_ACTIVE = "ScalingActive"
    METRICS_AVAILABLE = "MetricsAvailable"
    PROBES_PASSING = "ProbesPassing"
    DRIFT_SUSPECTED = "DriftSuspected"
    BUDGET_LIMITED = "BudgetLimited"
    DEGRADED = "Degraded"


class Condition(ApiObject):
    """A condition as metav1.Condition defines it."""

    type: Annotated[str, Field(max_length=316, pattern=r"^[A-Za-z]+$")]
    """Aspect of the object that this condition reports."""
    status: Literal["True", "False", "Unknown"]
    """Whether the aspect holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """CamelCase word for the last transition, for programs."""
    message: Annotated[str, Field(max_length=4096)]
    """Sentence for people: what is so and, where something is wrong, what to do."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """Generation of the spec that this condition was computed from."""


def updated(
    old: Iterable[Condition],
    new: Iterable[tuple[ConditionType, bool | None, Reason, str]],
    *,
    generation: int,
    now: str,
) -> tuple[Condition, ...]:
    """New conditions in the given order; the transition time moves only with the status.

    `None` as a value means Unknown. `now` is RFC 3339 text.
    """
    before = {condition.type: condition for condition in old}
    result = []
    for kind, value, reason, message in new:
        status: Literal["True", "False", "Unknown"] = (
            "Unknown" if value is None else "True" if value else "False"
        )
        known = before.get(kind.value)
        if known is not None and _says(known, status, reason, message, generation):
            result.append(known)
            continue
        moved = known is None or known.status != status
        result.append(
            Condition(
                type=kind.value,
                status=status,
                reason=reason.value,
                message=message[:4096],
                last_transition_time=now if moved or known is None else known.last_transition_time,
                observed_generation=min(generation, INT32_MAX),
            )
        )
    return tuple(result)


def _says(known: Condition, status: str, reason: Reason, message: str, generation: int) -> bool:
    """Whether nothing is new: most turns find every condition as it was."""
    return (
        known.status == status
        and known.reason == reason.value
        and known.message == message[:4096]
        and known.observed_generation == min(generation, INT32_MAX)
    )
