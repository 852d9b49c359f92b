"""Signal `query`: numbers in Prometheus, as the user's own queries and canonical metrics say.

The facts come from `prometheus.signal_reader`. A value that may not be known any more raises, never
lowers: that is what `scaling.demand` holds the last number for.
"""

from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Demand, ScalingParams, Window


class QuerySignal:
    """The largest of a model's readings."""

    name = "query"

    def demand(self, window: Window, params: ScalingParams) -> Demand | None:  # noqa: ARG002 - the protocol's signature
        """None while no reading asks for anything.

        Worked example: a queue of 30 where one replica carries 8: 30 / 8 = 3.75 replicas.
        """
        found = [
            Demand(reading.value / reading.spec.target, _why(reading))
            for reading in window.readings
            if reading.value is not None and reading.value > 0
        ]
        return max(found, key=lambda demand: demand.replicas, default=None)


def _why(reading: Reading) -> str:
    spec = reading.spec
    what = f"{spec.metric} " if spec.metric else ""
    value = f"{reading.value:.4g}"
    return f"signal '{spec.name}': {what}{value}, one replica carries {spec.target:.4g}"
