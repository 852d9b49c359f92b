"""Signal `latency`: the objective is missed at the present size, so the size is wrong."""

from modelfleet.facts.scaling import Demand, ScalingParams, Window

RECENT_SECONDS = 10.0
LEAST_ANSWERS = 20


class LatencySignal:
    """Asks for more where more answers than promised are slower than the objective."""

    name = "latency"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:
        """None without objective, with too few answers, with pods starting, or while it is met.

        At most one replica or a quarter more at a time: latency that is not caused by load
        would otherwise run away. Worked example: 4 ready, 95th percentile promised, 12 % of the
        answers slow: max(4 + 1, 4 * 1.25) = 5.
        """
        if params.latency_objective_seconds is None or window.starting > 0 or window.ready == 0:
            return None
        chosen = [b for b in window.buckets if window.now - b.at < RECENT_SECONDS]
        answers = sum(b.completions for b in chosen)
        slow = sum(b.slow for b in chosen)
        if answers < LEAST_ANSWERS or slow * 100 <= answers * (100 - params.percentile):
            return None
        busy = sum(b.in_flight * b.seconds for b in chosen) / sum(b.seconds for b in chosen)
        if busy < 0.3 * window.ready * params.slots:
            # Idle replicas that answer slowly are slow by themselves; more of them do not help.
            return None
        why = (
            f"{100 * slow / answers:.0f} % of answers slower than"
            f" {params.latency_objective_seconds * 1000:.0f} ms"
        )
        return Demand(max(window.ready + 1, window.ready * 1.25), why)
