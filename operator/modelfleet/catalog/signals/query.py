"""Signal `query`: numbers in Prometheus, from the user's queries and from canonical metrics.

The readings come from `prometheus.signal_reader`. A value that is not current may raise the demand
but never lower it: meanwhile `scaling.demand` keeps the last number.
"""

from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Demand, ScalingParams, Window


class QuerySignal:
    """The largest of a model's readings."""

    name = "query"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:  # noqa: ARG002 - the protocol's signature
        """Return the largest demand; None while no reading is above 0.

        Worked example: a queue of 30 where one replica carries 8: 30 / 8 = 3.75 replicas.
        """
        demands = [
            Demand(reading.value / reading.spec.target, _why(reading))
            for reading in window.readings
            if reading.value is not None and reading.value > 0
        ]
        return max(demands, key=lambda demand: demand.replicas, default=None)


def _why(reading: Reading) -> str:
    spec = reading.spec
    metric = f"{spec.metric} " if spec.metric else ""
    value = f"{reading.value:.4g}"
    return f"signal '{spec.name}': {metric}{value}, one replica carries {spec.target:.4g}"
