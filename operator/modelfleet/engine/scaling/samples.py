"""Buckets from the gateways' samples: all versions and gateways of a model in one.

`scaling.tick` keeps the buckets and learns from them. Evidence of a rollout keeps versions apart:
`scaling.rollout_evidence`.
"""

from collections import defaultdict
from collections.abc import Mapping

from modelfleet.engine.handover import LastTurn
from modelfleet.facts.scaling import Bucket
from modelfleet.facts.traffic import LATENCY_BASE_MILLISECONDS, LATENCY_GROWTH, ModelSample


def bucket_of(
    parts: list[tuple[str, float, ModelSample]], now: float, seen: LastTurn | None
) -> Bucket:
    """Make one bucket from all gateways' samples since the last tick.

    Several samples of one gateway follow each other, so their lengths are added. Gateways run side
    by side, so the bucket is as long as the longest of them.
    """
    seconds: dict[str, float] = defaultdict(float)
    flight: dict[str, int] = {}
    held: dict[str, int] = {}
    arrivals = completions = slow = refused = 0
    service = 0.0
    limit = seen.params.latency_objective_seconds if seen else None
    for gateway, length, traffic in parts:
        seconds[gateway] += length
        flight[gateway] = sum(v.in_flight for v in traffic.versions.values())
        held[gateway] = traffic.held
        for version in traffic.versions.values():
            arrivals += version.arrivals
            done = sum(version.latency.values())
            completions += done
            service += version.service_seconds
            slow += _slower(version.latency, limit)
            refused += version.refused
    return Bucket(
        at=now,
        seconds=max(seconds.values()),
        arrivals=arrivals,
        completions=completions,
        service_seconds=service,
        in_flight=sum(flight.values()),
        held=sum(held.values()),
        slow=slow,
        refused=refused,
    )


def _slower(latency: Mapping[int, int], limit: float | None) -> int:
    """Count answers in histogram buckets that lie wholly above `limit` seconds."""
    if limit is None:
        return 0
    return sum(
        count
        for index, count in latency.items()
        if LATENCY_BASE_MILLISECONDS * LATENCY_GROWTH ** (index - 1) >= limit * 1000
    )
