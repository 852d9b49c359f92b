"""The scaling part of an MLModel: bounds, signals, schedules, hold.

`mlmodel` includes it in the spec. `model.validation` checks what a schema cannot express: cron
expressions and time zones.
"""

from typing import Annotated, Literal

from pydantic import Field

from modelfleet.api.base import (
    ApiObject,
    CatalogueName,
    Cron,
    DnsLabel,
    Target,
    map_list,
    named_in,
    validations,
)


class Hold(ApiObject):
    """Bounds on holding requests while no replica can take them."""

    max_seconds: Annotated[int, Field(ge=1, le=600)] = 50
    """Longest time on hold; then the gateway answers 503 with Retry-After."""
    max_requests: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Most requests on hold in each gateway; the next one gets 503 with Retry-After."""


class Overload(ApiObject):
    """Treatment of requests that arrive faster than the replicas can answer them."""

    max_wait_seconds: Annotated[int, Field(ge=1, le=600)] | None = None
    """Longest wait behind others, then 503 with Retry-After (docs/concepts/overload.md)."""


class ScalingSignal(ApiObject):
    """A number in Prometheus that replicas follow; the largest demand of all signals counts."""

    name: Annotated[DnsLabel, Field(min_length=1)]
    """Name of the signal, used in messages."""
    query: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """PromQL that gives one number; join several series, for example by `sum()`."""
    metric: Annotated[CatalogueName, Field(json_schema_extra=named_in("metrics"))] | None = None
    """From the model's own servers: waiting requests, tokens/s, requests under way, requests/s."""
    target: Target
    """Value for which one replica is enough, above 0, such as `4` or `500m`."""


SIGNAL_RULES = (
    (
        "has(self.query) != has(self.metric)",
        "scaling.signals: exactly one of query and metric must be set",
    ),
    (
        (
            "type(self.target) == string ? isQuantity(self.target)"
            " && quantity(self.target).isGreaterThan(quantity('0')) : self.target > 0"
        ),
        "scaling.signals.target must be above 0, such as 4 or '500m'",
    ),
)


class ScalingSchedule(ApiObject):
    """A window of time, repeated by cron, with its own bounds of replicas."""

    name: Annotated[DnsLabel, Field(min_length=1)]
    """Name of the window, used in messages."""
    start: Cron
    """Times at which the window opens: cron with five fields, such as `0 8 * * MON-FRI`."""
    end: Cron
    """Times at which the window closes: cron with five fields."""
    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    """Time zone of `start` and `end` by its IANA name, such as `Europe/Berlin`."""
    min_replicas: Annotated[int, Field(ge=0, le=1000)]
    """`minReplicas` while the window is open."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """`maxReplicas` while the window is open; if absent, `scaling.maxReplicas` holds."""


SCHEDULE_RULES = (
    (
        "self.start != self.end",
        "scaling.schedules.end must differ from start: the window would never be open",
    ),
    (
        "!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
        "scaling.schedules.minReplicas must be at most maxReplicas of the same window",
    ),
)
SCALING_RULES = (
    (
        "self.minReplicas <= self.maxReplicas",
        "scaling.minReplicas must be at most scaling.maxReplicas",
    ),
    (
        (
            "!has(self.schedules) || self.schedules.all(s, has(s.maxReplicas)"
            " || s.minReplicas <= self.maxReplicas)"
        ),
        (
            "scaling.schedules.minReplicas must be at most scaling.maxReplicas, or the window must"
            " set maxReplicas itself"
        ),
    ),
)


class Scaling(ApiObject):
    """Bounds of the autoscaler, and the signals that it follows beside the measured traffic."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Least replicas; 0 allows zero replicas without traffic."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 10
    """Most replicas of each version."""
    concurrency_per_replica: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Most requests that one replica works on at once (operator's default, then learned)."""
    mode: Literal["Auto", "Recommend", "Off"] = "Auto"
    """Auto: replicas follow the ask. Recommend: only `status.scaling.want` does. Off: neither."""
    hold: Hold = Hold()
    """Bounds on holding requests."""
    overload: Overload = Overload()
    """Bound on waiting while the replicas are too few."""
    signals: (
        Annotated[
            list[Annotated[ScalingSignal, Field(json_schema_extra=validations(*SIGNAL_RULES))]],
            Field(max_length=8, json_schema_extra=map_list("name")),
        ]
        | None
    ) = None
    """Numbers in Prometheus to follow beside the traffic."""
    schedules: (
        Annotated[
            list[Annotated[ScalingSchedule, Field(json_schema_extra=validations(*SCHEDULE_RULES))]],
            Field(max_length=16, json_schema_extra=map_list("name")),
        ]
        | None
    ) = None
    """Windows with own bounds; of the open ones the highest minimum and lowest maximum hold."""
