"""The route of a model: what is in effect, what is confirmed, what comes next.

Called by `decide`. "In effect" always means acknowledged by every gateway that could receive
traffic; a silent gateway is never assumed to agree.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.facts.model import ModelFacts, VersionFacts
from modelfleet.facts.route import Route, RouteWeight

HUNDRED = 100
MIN_WAIT_SECONDS = 5
OBJECTIVES_OF_WAIT = 10
"""While an overload lasts a request may wait so many times the latency that was promised."""
UNPROMISED_WAIT_SECONDS = 10
"""The same where no latency was promised."""


def present(facts: ModelFacts) -> Route | None:
    """The route in status, or None before the first."""
    if facts.status.route is None:
        return None
    return Route.from_status(facts.status.route.model_dump(by_alias=True))


def is_confirmed(facts: ModelFacts, route: Route | None) -> bool:
    """Whether every gateway has exactly this route in effect. No gateway at all is no."""
    if not facts.gateways.is_used:
        return True
    if route is None or not facts.gateways.acknowledged:
        return False
    return all(
        ack is not None
        and ack.uid == facts.uid
        and ack.revision == route.revision
        and ack.content_hash == route.content_hash
        for ack in facts.gateways.acknowledged.values()
    )


def has_left(facts: ModelFacts, route: Route | None, version: str) -> bool:
    """Whether no gateway can send to `version` by its weight any more.

    Each gateway has this route in effect, where its weight is 0, or has nothing of the version at
    all: so it is with a gateway that refused what names it. False while one is silent.
    """
    if route is None or route.weight_of(version) > 0:
        return False
    if is_confirmed(facts, route):
        return True
    return bool(facts.gateways.acknowledged) and all(
        ack is not None
        and (
            version not in ack.endpoints
            or (ack.revision == route.revision and ack.content_hash == route.content_hash)
        )
        for ack in facts.gateways.acknowledged.values()
    )


def in_effect(facts: ModelFacts, version: VersionFacts) -> int:
    """Replicas of `version` that every gateway can use; ready ones where none is installed."""
    usable = [pod.endpoint for pod in version.alive if pod.is_ready and pod.is_in_service]
    if not facts.gateways.is_used:
        return len(usable)
    acks = facts.gateways.acknowledged.values()
    counts = [
        0
        if ack is None
        else sum(endpoint in ack.endpoints.get(version.name, ()) for endpoint in usable)
        for ack in acks
    ]
    return min(counts, default=0)


def is_gone(facts: ModelFacts, version: str, endpoint: str | None) -> bool:
    """Whether no gateway sends to `endpoint` any more; False while one is silent."""
    if endpoint is None or not facts.gateways.is_used:
        return True
    acks = facts.gateways.acknowledged
    return bool(acks) and all(
        ack is not None and endpoint not in ack.endpoints.get(version, ()) for ack in acks.values()
    )


def next_route(
    facts: ModelFacts, spec: MLModelSpec, weights: Mapping[str, int], others: tuple[str, ...]
) -> Route:
    """The route with these weights; `others` stay configured at weight 0.

    The revision moves only when the content does.
    """
    before = present(facts)
    burst, overload = longest_waits(spec)
    order = sorted(
        [*weights, *(name for name in others if name not in weights)],
        key=lambda name: (-weights.get(name, 0), name),
    )
    candidate = Route(
        revision=before.revision if before else 1,
        weights=tuple(RouteWeight(name, weights.get(name, 0)) for name in order),
        request_timeout_seconds=spec.traffic.request_timeout_seconds,
        hold_max_seconds=spec.scaling.hold.max_seconds,
        hold_max_requests=spec.scaling.hold.max_requests,
        burst_wait_seconds=burst,
        overload_wait_seconds=overload,
        concurrency=spec.scaling.concurrency_per_replica,
        idempotent=spec.traffic.idempotent,
        max_replay_bytes=spec.traffic.max_replay_bytes,
        exposure=spec.traffic.exposure
        or ("External" if facts.defaults.exposure == "External" else "Cluster"),
    )
    if before is None or candidate.same_content(before):
        return candidate
    return replace(candidate, revision=before.revision + 1)


def longest_waits(spec: MLModelSpec) -> tuple[int, int]:
    """Seconds that a request may wait behind others: in a burst, and while an overload lasts.

    A burst may be met by replicas that start, so it may wait as long as it may be held. Where no
    replica helps, everybody would wait so long for ever: then the objective sets the bound.
    Worked example: 100 ms promised, 50 s of hold: 50 s in a burst, then 5 s.
    """
    hold, said = spec.scaling.hold.max_seconds, spec.scaling.overload.max_wait_seconds
    if said is not None:
        return said, said
    lasting = UNPROMISED_WAIT_SECONDS
    if spec.objective is not None:
        of_objective = OBJECTIVES_OF_WAIT * spec.objective.latency_milliseconds / 1000
        lasting = max(MIN_WAIT_SECONDS, math.ceil(of_objective))
    return hold, min(hold, lasting)
