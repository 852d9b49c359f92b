"""The route of a model: in effect, confirmed, and next.

"In effect" always means acknowledged by every gateway that could receive traffic. Must never assume
that a silent gateway agrees.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.facts.model import ModelFacts, VersionFacts
from modelfleet.facts.route import RequestMatch, Route, RouteWeight

HUNDRED = 100
MAX_VERSIONS = 64
"""Versions in a route, which the CRD bounds; those of weight 0 beyond it have no request to end."""
MIN_WAIT_SECONDS = 5
OBJECTIVES_OF_WAIT = 10
"""Longest wait during a lasting overload, in multiples of the objective's latency."""
UNPROMISED_WAIT_SECONDS = 10
"""The same for a model without an objective."""


def present(facts: ModelFacts) -> Route | None:
    """Return the route in status; None before the first."""
    if facts.status.route is None:
        return None
    return Route.from_status(facts.status.route.model_dump(by_alias=True))


def is_confirmed(facts: ModelFacts, route: Route | None) -> bool:
    """Return whether every gateway has exactly this route in effect; False without any gateway."""
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
    """Return whether no gateway can send to `version` by its weight any more.

    True if each gateway either has this route, with weight 0 for the version, or has no endpoint of
    the version. The second case covers a gateway that refused every route with the version. False
    while a gateway is silent.
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
    """Return how many replicas of `version` every gateway can use.

    Without gateways: how many are ready and in service.
    """
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


def sender_to(facts: ModelFacts, version: str, endpoint: str | None) -> str | None:
    """Return the first gateway that may still send to `endpoint`; None when there is none."""
    if is_gone(facts, version, endpoint):
        return None
    acks = sorted(facts.gateways.acknowledged.items())
    senders = (
        name for name, ack in acks if ack is None or endpoint in ack.endpoints.get(version, ())
    )
    return next(senders, "that starts")


def is_gone(facts: ModelFacts, version: str, endpoint: str | None) -> bool:
    """Return whether no gateway sends to `endpoint` any more; False while a gateway is silent."""
    if endpoint is None or not facts.gateways.is_used:
        return True
    acks = facts.gateways.acknowledged
    return bool(acks) and all(
        ack is not None and endpoint not in ack.endpoints.get(version, ()) for ack in acks.values()
    )


def next_route(
    facts: ModelFacts, spec: MLModelSpec, weights: Mapping[str, int], others: tuple[str, ...]
) -> Route:
    """Return the route with these weights; `others` stay configured at weight 0.

    The revision grows only when the content changes.
    """
    before = present(facts)
    burst, overload = longest_waits(spec)
    order = sorted(
        [*weights, *(name for name in others if name not in weights)][:MAX_VERSIONS],
        key=lambda name: (-weights.get(name, 0), name),
    )
    route = Route(
        revision=before.revision if before else 1 + _highest_revision(facts),
        weights=tuple(RouteWeight(name, weights.get(name, 0)) for name in order),
        request_timeout_seconds=spec.traffic.request_timeout_seconds,
        # No request can wake what somebody has set to zero: it gets its answer at once.
        hold_max_seconds=1 if spec.replicas == 0 else spec.scaling.hold.max_seconds,
        hold_max_requests=spec.scaling.hold.max_requests,
        burst_wait_seconds=burst,
        overload_wait_seconds=overload,
        concurrency=spec.scaling.concurrency_per_replica,
        idempotent=spec.traffic.idempotent,
        max_replay_bytes=spec.traffic.max_replay_bytes,
        uncounted=tuple(
            RequestMatch.from_status(match.model_dump(by_alias=True))
            for match in spec.traffic.uncounted or ()
        ),
        upgrades=tuple(spec.traffic.upgrades or ()),
        exposure=spec.traffic.exposure
        or ("External" if facts.defaults.exposure == "External" else "Cluster"),
    )
    if before is None or route.same_content(before):
        return route
    return replace(route, revision=before.revision + 1)


def _highest_revision(facts: ModelFacts) -> int:
    """Return the highest revision that a gateway has: a revision never goes back."""
    acks = (ack for ack in facts.gateways.acknowledged.values() if ack is not None)
    return max((ack.revision for ack in acks if ack.uid == facts.uid), default=0)


def longest_waits(spec: MLModelSpec) -> tuple[int, int]:
    """Return the seconds that a request may wait behind others: in a burst, then in an overload.

    In a burst, starting replicas help: a request may wait as long as the agent may hold it. In a
    lasting overload no replica helps and every request would wait that long, so the objective sets
    the bound. Worked example: objective 100 ms, hold 50 s: 50 s in a burst, then 5 s.
    """
    hold, max_wait = spec.scaling.hold.max_seconds, spec.scaling.overload.max_wait_seconds
    if max_wait is not None:
        return max_wait, max_wait
    lasting = UNPROMISED_WAIT_SECONDS
    if spec.objective is not None:
        of_objective = OBJECTIVES_OF_WAIT * spec.objective.latency_milliseconds / 1000
        lasting = max(MIN_WAIT_SECONDS, math.ceil(of_objective))
    return hold, min(hold, lasting)
