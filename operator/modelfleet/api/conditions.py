"""Condition types of an MLModel, and the update of a list of conditions.

`model.status` sets them; health scripts and people read them. A released type is never renamed.
Reasons are in `reasons`.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelfleet.api.base import INT32_MAX, ApiObject, Timestamp
from modelfleet.api.reasons import Reason


class ConditionType(StrEnum):
    """Aspect of a model that a condition reports.

    Without a fault or rollout, the good aspects are True and the bad ones False.
    """

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
    """CamelCase word, for programs."""
    message: Annotated[str, Field(max_length=4096)]
    """Sentence for people: the state and, after a fault, what to do."""
    last_transition_time: Timestamp
    """Time at which `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """Generation of the spec from which this condition was computed."""


def foreign(conditions: Iterable[Condition]) -> list[Condition]:
    """Return the conditions of types that only another release knows; at most 16."""
    known = set(ConditionType)
    return [condition for condition in conditions if condition.type not in known][:16]


def rfc3339(moment: datetime) -> str:
    """Return a time in UTC as Kubernetes writes it: whole seconds, `Z`.

    Worked example: 12:00:58.663 on 2026-11-24 is 2026-11-24T12:00:58Z.
    """
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def updated(
    old: Iterable[Condition],
    new: Iterable[tuple[ConditionType, bool | None, Reason, str]],
    *,
    generation: int,
    now: str,
) -> tuple[Condition, ...]:
    """Return the new conditions in the given order.

    The transition time changes only with the status. `None` as a value means Unknown. `now` is RFC
    3339 text.
    """
    before = {condition.type: condition for condition in old}
    conditions = []
    for kind, value, reason, message in new:
        status: Literal["True", "False", "Unknown"] = (
            "Unknown" if value is None else "True" if value else "False"
        )
        previous = before.get(kind.value)
        if previous is not None and _is_same(previous, status, reason, message, generation):
            conditions.append(previous)
            continue
        has_changed = previous is None or previous.status != status
        conditions.append(
            Condition(
                type=kind.value,
                status=status,
                reason=reason.value,
                message=message[:4096],
                last_transition_time=now
                if has_changed or previous is None
                else previous.last_transition_time,
                observed_generation=min(generation, INT32_MAX),
            )
        )
    return tuple(conditions)


def _is_same(
    previous: Condition, status: str, reason: Reason, message: str, generation: int
) -> bool:
    """Return whether the condition is unchanged: most turns find every condition so."""
    return (
        previous.status == status
        and previous.reason == reason.value
        and previous.message == message[:4096]
        and previous.observed_generation == min(generation, INT32_MAX)
    )
