"""What a signal is: one view of how many replicas the traffic needs.

Implemented by the members of this catalogue, called by `scaling.demand`. Must never bound its
answer by minimum or maximum: that is the ask's business.
"""

import math
from dataclasses import replace
from statistics import median
from typing import Protocol

from modelfleet.facts.scaling import Demand, ScalingParams, Window

RECENT_SECONDS = 5.0
ARRIVALS_SECONDS = 15.0
"""What comes late because of a stall comes all at once: arrivals are read over a longer time."""
MIN_BUCKETS = 3
"""Where replicas serve: a number of requests under way is of one moment, and one is no load."""


class Signal(Protocol):
    """One member of the catalogue."""

    name: str

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """Replicas needed in the eyes of this signal; None when it cannot tell."""
        ...


def staffed(load: float, slots: int) -> float:
    """Replicas of `slots` slots each for `load` busy slots on average, with a safety margin.

    Square-root staffing: slots needed = load + 1.5 * sqrt(load), which keeps the share of
    delayed requests about constant from small to large loads (Halfin and Whitt 1981; the factor
    of 1.5 is for less than 5 % delayed).

    Worked example: 1 busy slot on average and 1 slot a replica: (1 + 1.5 * 1) / 1 = 2.5.
    """
    return (load + 1.5 * math.sqrt(load)) / slots


def under_way(window: Window) -> float:
    """Requests under way in the last seconds; 0 before they were watched for long enough.

    The median where replicas serve: a new leader looks first while its own start keeps the node
    busy, and must not believe in the queue of that moment. Worked example: 16, 1, 1: one.
    """
    recent = [b for b in window.buckets if window.now - b.at < RECENT_SECONDS]
    if window.ready > 0:
        return median(b.in_flight for b in recent) if len(recent) >= MIN_BUCKETS else 0.0
    seconds = sum(b.seconds for b in recent)
    return sum(b.in_flight * b.seconds for b in recent) / seconds if seconds > 0 else 0.0


def capped_while_taking_over(found: Demand, window: Window, params: ScalingParams) -> Demand:
    """What is asked for; no more than what comes needs, while a new leader takes over.

    Its own start slows the answers down, and with them the requests pile up: neither is demand.
    Arrivals are, at what an answer took before. Where the gateways remember nothing of that, the
    replicas that are there are enough while what is under way can be answered in time.
    """
    have = window.ready + window.starting
    if not window.is_taking_over or window.ready == 0 or found.replicas <= have:
        return found
    if window.remembered_seconds is not None:
        most = max(float(have), _needed(window, window.remembered_seconds, params.slots))
        why = "answers that are slow while this leader takes over are no demand"
    elif _is_late(window, params):
        return found
    else:
        most, why = float(have), "this leader has just begun, and nobody waits for long"
    if found.replicas <= most:
        return found
    return replace(found, replicas=most, why=f"{found.why}; {why}")


def _needed(window: Window, service_seconds: float, slots: int) -> float:
    """Replicas for the arrivals of late; none before they were watched for some seconds.

    Worked example: 400 requests/s of 8 ms with 4 slots: (3.2 + 1.5 * sqrt(3.2)) / 4 = 1.5.
    """
    recent = [b for b in window.buckets if window.now - b.at < ARRIVALS_SECONDS]
    if len(recent) < MIN_BUCKETS:
        return 0.0
    rate = sum(b.arrivals for b in recent) / sum(b.seconds for b in recent)
    return staffed(rate * service_seconds, slots)


def _is_late(window: Window, params: ScalingParams) -> bool:
    """Whether more is under way than can be answered within the latency that is promised.

    Worked example: 4 slots, 80 ms a request, 200 ms promised: 4 * 200 / 80 = 10 are in time; 3 do
    not wait, however slow they are.
    """
    busy, slots = under_way(window), window.ready * params.slots
    service = window.service_seconds
    if busy <= slots or service is None:
        return busy > slots
    return busy * service > slots * (service + params.wait_seconds(service))
