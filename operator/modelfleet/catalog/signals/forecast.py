"""Signal `rate`: the load that the arrivals will make when a replica started now is ready.

This is the policy's forecast. In a model's first seconds there is none: then arrivals times service
time (Little's law), with their trend. Must never be read as the present load.
"""

from modelfleet.catalog.signals.base import RECENT_SECONDS, capped_while_taking_over, staffed
from modelfleet.facts.scaling import Demand, ScalingParams, Window, keep_alive_seconds

TREND_SECONDS = 15.0
MAX_AHEAD_SECONDS = 120.0
WOKEN = "earlier days had requests at this time"


class RateSignal:
    """Future load: the forecast, or the arrivals of the last seconds continued by their trend."""

    name = "rate"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """Return None without forecast and arrivals, or before a service time is known.

        Worked example: 20 requests/s, steady, 50 ms each: 1 busy slot; with 1 slot a replica 1 +
        1.5 = 2.5 replicas.
        """
        demand = self._demand(window, params)
        return None if demand is None else capped_while_taking_over(demand, window, params)

    @staticmethod
    def _demand(window: Window, params: ScalingParams) -> Demand | None:
        forecast = window.forecast
        if forecast is not None:
            is_quiet = window.quiet_seconds >= keep_alive_seconds(window, params)
            if params.min_replicas > 0 or not (is_quiet or window.is_asleep):
                return Demand(forecast.up, forecast.why, max(forecast.hold, 1))
            # The share of a recent peak, or a keep-alive that was learned since, wakes nobody.
            if not forecast.is_woken:
                return None
            return Demand(forecast.up, f"{forecast.why}; {WOKEN}", max(forecast.hold, 1))
        if window.service_seconds is None:
            return None
        recent = _rate(window, 0.0, RECENT_SECONDS)
        if recent is None or recent == 0:
            return None
        earlier = _rate(window, RECENT_SECONDS, TREND_SECONDS)
        ahead = min(window.startup_seconds, MAX_AHEAD_SECONDS)
        slope = 0.0 if earlier is None else (recent - earlier) / (TREND_SECONDS / 2)
        # A rise continues for one start-up time, at most to the double; a fall is ignored.
        expected = min(recent + max(0.0, slope) * ahead, 2 * recent)
        load = expected * window.service_seconds
        why = (
            f"{expected:.3g} requests/s expected in {ahead:.0f} s"
            f" x {window.service_seconds * 1000:.3g} ms = {load:.2g} busy"
        )
        return Demand(staffed(load, params.slots), why)


def _rate(window: Window, newest: float, oldest: float) -> float | None:
    chosen = [b for b in window.buckets if newest <= window.now - b.at < oldest]
    seconds = sum(b.seconds for b in chosen)
    return sum(b.arrivals for b in chosen) / seconds if seconds > 0 else None
