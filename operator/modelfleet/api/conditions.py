"""Condition types and reasons of an MLModel, and how a list of conditions is updated.

`model.status` decides them, health scripts and people read them. A type or reason that was
released is never renamed. Each reason has a line here that the reference page is made from.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelfleet.api.base import INT32_MAX, ApiObject, Timestamp


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


class Reason(StrEnum):
    """Why a condition has its value; the comment after each is its documentation."""

    SERVING = "Serving"
    STARTING = "Starting"
    IDLE = "Idle"
    HOLDING = "Holding"
    BELOW_FLOOR = "BelowFloor"
    NO_VERSION = "NoVersion"
    RESOLVING = "Resolving"
    ROLLING_OUT = "RollingOut"
    DRAINING = "Draining"
    SETTLED = "Settled"
    COMPLETE = "Complete"
    PAUSED = "Paused"
    GATEWAY_SILENT = "GatewaySilent"
    ROUTE_REJECTED = "RouteRejected"
    FOLLOWING = "Following"
    EXTERNAL_REPLICAS = "ExternalReplicas"
    RECOMMENDING = "Recommending"
    SWITCHED_OFF = "SwitchedOff"
    NO_SAMPLES = "NoSamples"
    SAMPLED = "Sampled"
    PROMETHEUS_OFF = "PrometheusOff"
    PROMETHEUS_SILENT = "PrometheusSilent"
    QUERY_FAILED = "QueryFailed"
    MANY_SERIES = "ManySeries"
    NO_SERIES = "NoSeries"
    WRONG_VALUE = "WrongValue"
    STALE_SIGNAL = "StaleSignal"
    SCHEDULES_CONFLICT = "SchedulesConflict"
    OBJECTIVE_UNREACHABLE = "ObjectiveUnreachable"
    OVERLOADED = "Overloaded"
    NOT_USED = "NotUsed"
    PASSING = "Passing"
    PROBE_FAILED = "ProbeFailed"
    HEALTHY = "Healthy"
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_RUNTIME = "UnknownRuntime"
    UNKNOWN_VERSION = "UnknownVersion"
    CONFIG_MAP_MISSING = "ConfigMapMissing"
    FETCH_FAILED = "FetchFailed"
    ARTIFACT_MISMATCH = "ArtifactMismatch"
    NOT_A_MODEL = "NotAModel"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOP = "CrashLoop"
    CONTAINER_FAILED = "ContainerFailed"
    UNSCHEDULABLE = "Unschedulable"
    START_TIMEOUT = "StartTimeout"
    NAME_TAKEN = "NameTaken"
    CREATE_REFUSED = "CreateRefused"
    PODS_REFUSED = "PodsRefused"
    PLAN_REFUSED = "PlanRefused"


REASON_TEXT: Mapping[Reason, str] = {
    Reason.SERVING: "At least the floor of replicas serves the route.",
    Reason.STARTING: "The first replicas start; requests are held until one is ready.",
    Reason.IDLE: "Scaled to zero for want of traffic; the next request is held and wakes it.",
    Reason.HOLDING: "No replica is ready; the gateway holds requests.",
    Reason.BELOW_FLOOR: "Fewer replicas are ready than `scaling.minReplicas`.",
    Reason.NO_VERSION: "No version exists yet.",
    Reason.RESOLVING: "The artifact's digest is being determined by a one-shot pod.",
    Reason.ROLLING_OUT: "A new version takes over.",
    Reason.DRAINING: "The new version serves; the old one finishes its requests.",
    Reason.SETTLED: "Nothing is left to do.",
    Reason.COMPLETE: "The version that the spec asks for serves all traffic.",
    Reason.PAUSED: "`spec.paused` stops rollouts.",
    Reason.GATEWAY_SILENT: "A gateway that may receive traffic has not acknowledged the route.",
    Reason.ROUTE_REJECTED: "A gateway refused the route; the last good one stays in effect.",
    Reason.FOLLOWING: "Replicas follow the measured traffic.",
    Reason.EXTERNAL_REPLICAS: "`spec.replicas` is set; the autoscaler only recommends.",
    Reason.RECOMMENDING: "`scaling.mode` is Recommend; replicas stay as they are.",
    Reason.SWITCHED_OFF: "`scaling.mode` is Off; replicas stay as they are.",
    Reason.NO_SAMPLES: "No recent samples from the gateways; the last grant is held.",
    Reason.SAMPLED: "Every gateway reports, and every signal has a value.",
    Reason.PROMETHEUS_OFF: "`scaling.signals` are set, but the operator knows no Prometheus.",
    Reason.PROMETHEUS_SILENT: "Prometheus does not answer; the last grant is held.",
    Reason.QUERY_FAILED: "Prometheus refuses a signal's query; the last grant is held.",
    Reason.MANY_SERIES: "A signal's query gives several series; the last grant is held.",
    Reason.NO_SERIES: "A signal has no value in Prometheus; the last grant is held.",
    Reason.WRONG_VALUE: "A signal's value is no usable number; the last grant is held.",
    Reason.STALE_SIGNAL: "A signal was not read for too long; the last grant is held.",
    Reason.SCHEDULES_CONFLICT: "Two open windows contradict each other; the minimum wins.",
    Reason.OBJECTIVE_UNREACHABLE: "A request alone in a replica already misses the objective.",
    Reason.OVERLOADED: "More requests come than the replicas can answer; the others get 503.",
    Reason.NOT_USED: "The feature is off for this model.",
    Reason.PASSING: "Every replica answered its admission probe correctly.",
    Reason.PROBE_FAILED: "A replica gave a wrong answer to its admission probe and is kept out.",
    Reason.HEALTHY: "No fault is known.",
    Reason.INVALID_SPEC: "The spec contradicts itself in a way that only the controller can see.",
    Reason.UNKNOWN_RUNTIME: "`runtime.name` is not in the catalogue.",
    Reason.UNKNOWN_VERSION: "`spec.version` names a version that does not exist.",
    Reason.CONFIG_MAP_MISSING: "A ConfigMap, or the key in it, that `runtime.env` names is absent.",
    Reason.FETCH_FAILED: "The artifact cannot be fetched from `model.uri`.",
    Reason.ARTIFACT_MISMATCH: "The artifact's bytes are not those of the digest.",
    Reason.NOT_A_MODEL: "The artifact is not a model that the runtime can load.",
    Reason.IMAGE_PULL_FAILED: "An image cannot be pulled.",
    Reason.CRASH_LOOP: "The container has ended at least twice.",
    Reason.CONTAINER_FAILED: "The container cannot be created or started.",
    Reason.UNSCHEDULABLE: "No node can take a replica.",
    Reason.START_TIMEOUT: "Not ready within `runtime.startupSeconds`.",
    Reason.NAME_TAKEN: "An object of a needed name exists and is not ours; it is left alone.",
    Reason.CREATE_REFUSED: "The API server does not take an object that the model needs.",
    Reason.PODS_REFUSED: "Kubernetes refuses to make the pods: quota, pod security or limits.",
    Reason.PLAN_REFUSED: "The operator's own safety check refused a plan; the last one stays.",
}


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
