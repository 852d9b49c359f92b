"""Signal `concurrency`: requests under way and on hold now."""

from collections.abc import Sequence
from statistics import median

from modelfleet.facts.scaling import Bucket, Demand, ScalingParams, Window

RECENT_SECONDS = 5.0
LEAST_BUCKETS = 3
"""Where replicas serve: a number of requests under way is of one moment, and one is no load."""


class ConcurrencySignal:
    """What is under way in the gateways. Needs no service time, so it answers first."""

    name = "concurrency"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """None when nothing is under way, when a forecast sees to it, or before it is known.

        A backlog is finite work: what is parked counts as the replicas that would clear it
        within one start-up time, not as a load that stays. Where replicas serve, the median of a
        few seconds counts: a new leader that looks while the node is busy for 100 ms, with
        starting it, must not believe in the queue of that moment.

        Worked example: 3 in flight on average with 2 slots a replica: 1.5 replicas; 40 held
        requests of 0.1 s with a start-up of 2 s add 40 * 0.1 / 2 / 2 = 1 replica.
        """
        chosen = [b for b in window.buckets if window.now - b.at < RECENT_SECONDS]
        if not chosen:
            return None
        busy = _busy(chosen, window.ready)
        held = chosen[-1].held
        if busy == 0 and held == 0:
            return None
        if window.forecast is not None and (window.ready > 0 or held == 0):
            return None
        per_request = window.service_seconds if window.service_seconds is not None else 0.1
        backlog = held * per_request / max(window.startup_seconds, 1.0)
        replicas = (busy + backlog) / params.slots
        why = f"{busy:.2g} requests under way" + (f", {held} on hold" if held else "")
        return Demand(max(replicas, 0.01), why)


def _busy(buckets: Sequence[Bucket], ready: int) -> float:
    """Requests under way in the last seconds; 0 before they were watched for long enough."""
    if ready == 0:
        return sum(b.in_flight * b.seconds for b in buckets) / sum(b.seconds for b in buckets)
    if len(buckets) < LEAST_BUCKETS:
        return 0.0
    return median(b.in_flight for b in buckets)
