"""Protocol of a signal: one source of demand for replicas.

`scaling.demand` collects the demands of all members. Must never bound a demand by minimum or
maximum: the ask does that.
"""

import math
from dataclasses import replace
from statistics import median
from typing import Protocol

from modelfleet.facts.scaling import Demand, ScalingParams, Window

RECENT_SECONDS = 5.0
ARRIVALS_SECONDS = 15.0
"""A stall delays arrivals and then delivers them all at once, so arrivals need a longer window."""
MIN_BUCKETS = 3
"""Least buckets where replicas serve: one bucket is one moment, which is no load."""


class Signal(Protocol):
    """Member of the catalogue."""

    name: str

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """Return the replicas that this signal asks for; None without a value."""
        ...


def staffed(load: float, slots: int) -> float:
    """Return the replicas of `slots` slots for `load` busy slots on average, with a safety margin.

    Square-root staffing: slots needed = load + 1.5 * sqrt(load). This keeps the share of delayed
    requests about constant from small to large loads (Halfin and Whitt 1981; the factor of 1.5 is
    for less than 5 % delayed).

    Worked example: 1 busy slot on average and 1 slot a replica: (1 + 1.5 * 1) / 1 = 2.5.
    """
    return (load + 1.5 * math.sqrt(load)) / slots


def under_way(window: Window) -> float:
    """Return the requests under way in the last seconds; 0 before enough seconds were watched.

    The median where replicas serve. A new leader's own start slows the node down, so the first
    numbers are too high. Worked example: 16, 1, 1: one.
    """
    recent = [b for b in window.buckets if window.now - b.at < RECENT_SECONDS]
    if window.ready > 0:
        return median(b.in_flight for b in recent) if len(recent) >= MIN_BUCKETS else 0.0
    seconds = sum(b.seconds for b in recent)
    return sum(b.in_flight * b.seconds for b in recent) / seconds if seconds > 0 else 0.0


def capped_while_taking_over(demand: Demand, window: Window, params: ScalingParams) -> Demand:
    """Return the demand; during a takeover, no more than the arrivals need.

    The new leader's own start slows answers, so requests pile up: neither is demand. Arrivals are,
    with the answer time before the takeover. Without that time in the gateways' memory, the present
    replicas are enough while the requests under way can still be answered in time.
    """
    present = window.ready + window.starting
    if not window.is_taking_over or window.ready == 0 or demand.replicas <= present:
        return demand
    if window.remembered_seconds is not None:
        enough = max(float(present), _needed(window, window.remembered_seconds, params.slots))
        why = "slow answers during this leader's takeover are no demand"
    elif _is_late(window, params):
        return demand
    else:
        enough, why = float(present), "this leader has just begun, and no request waits too long"
    if demand.replicas <= enough:
        return demand
    return replace(demand, replicas=enough, why=f"{demand.why}; {why}")


def _needed(window: Window, service_seconds: float, slots: int) -> float:
    """Return the replicas for the recent arrivals; 0 before they were watched for some seconds.

    Worked example: 400 requests/s of 8 ms with 4 slots: (3.2 + 1.5 * sqrt(3.2)) / 4 = 1.5.
    """
    recent = [b for b in window.buckets if window.now - b.at < ARRIVALS_SECONDS]
    if len(recent) < MIN_BUCKETS:
        return 0.0
    rate = sum(b.arrivals for b in recent) / sum(b.seconds for b in recent)
    return staffed(rate * service_seconds, slots)


def _is_late(window: Window, params: ScalingParams) -> bool:
    """Return whether more requests are under way than can be answered within the objective.

    Worked example: 4 slots, 80 ms a request, objective 200 ms: 4 * 200 / 80 = 10 are in time. 3
    requests do not wait, however slow they are.
    """
    busy, slots = under_way(window), window.ready * params.slots
    service = window.service_seconds
    if busy <= slots or service is None:
        return busy > slots
    return busy * service > slots * (service + params.wait_seconds(service))
