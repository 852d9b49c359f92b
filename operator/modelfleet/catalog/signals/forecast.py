"""Signal `rate`: what the arrivals will need when a replica started now is ready.

The policy's forecast, as soon as there is one; for the first seconds of a model arrivals times
service time (Little's law), following their trend. Must never be read as the present load.
"""

from modelfleet.catalog.signals.base import RECENT_SECONDS, capped_while_taking_over, staffed
from modelfleet.facts.scaling import Demand, ScalingParams, Window, keep_alive_seconds

TREND_SECONDS = 15.0
MAX_AHEAD_SECONDS = 120.0


class RateSignal:
    """What the arrivals of the last seconds, going on with their trend, will keep busy."""

    name = "rate"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """None without forecast and arrivals, or before a service time is known.

        Worked example: 20 requests/s, steady, 50 ms each: 1 busy slot; with 1 slot a replica
        1 + 1.5 = 2.5 replicas.
        """
        found = self._demand(window, params)
        return None if found is None else capped_while_taking_over(found, window, params)

    @staticmethod
    def _demand(window: Window, params: ScalingParams) -> Demand | None:
        known = window.forecast
        if known is not None:
            is_asleep = (
                params.min_replicas == 0
                and window.quiet_seconds >= keep_alive_seconds(window, params)
                and not known.is_woken
            )
            return None if is_asleep else Demand(known.up, known.why, max(known.hold, 1))
        if window.service_seconds is None:
            return None
        recent = _rate(window, 0.0, RECENT_SECONDS)
        if recent is None or recent == 0:
            return None
        earlier = _rate(window, RECENT_SECONDS, TREND_SECONDS)
        ahead = min(window.startup_seconds, MAX_AHEAD_SECONDS)
        slope = 0.0 if earlier is None else (recent - earlier) / (TREND_SECONDS / 2)
        # A rise is followed as far as a start-up takes, at most doubled; a fall is not believed.
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
