"""Signal `concurrency`: requests under way and on hold now."""

from modelfleet.catalog.signals.base import RECENT_SECONDS, capped_while_taking_over, under_way
from modelfleet.facts.scaling import Demand, ScalingParams, Window


class ConcurrencySignal:
    """Requests under way in the gateways; without need of a service time it has a value first."""

    name = "concurrency"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """Return None without requests under way, with a forecast, or before the number is known.

        A backlog is finite work. Held requests count as the replicas that would answer them within
        one start-up time, not as a lasting load.

        Worked example: 3 in flight on average with 2 slots a replica: 1.5 replicas; 40 held
        requests of 0.1 s with a start-up of 2 s add 40 * 0.1 / 2 / 2 = 1 replica.
        """
        recent = [b for b in window.buckets if window.now - b.at < RECENT_SECONDS]
        if not recent:
            return None
        busy = under_way(window)
        held = recent[-1].held
        if busy == 0 and held == 0:
            return None
        if window.forecast is not None and (window.ready > 0 or held == 0):
            return None
        per_request = window.service_seconds if window.service_seconds is not None else 0.1
        backlog = held * per_request / max(window.startup_seconds, 1.0)
        replicas = (busy + backlog) / params.slots
        why = f"{busy:.2g} requests under way" + (f", {held} on hold" if held else "")
        return capped_while_taking_over(Demand(max(replicas, 0.01), why), window, params)
