"""Constant number of replicas: the most common setup, and sometimes the cheapest.

The benchmark runs the least number that meets the aim, chosen in hindsight.
"""

from modelfleet.simulate.scaler import Observation


class Static:
    """Scaler that always wants the same number of replicas."""

    name = "static"
    interval_seconds = 3600.0
    delay_seconds = 0.0
    wake_seconds: float | None = None
    memory_seconds = 0.0

    def __init__(self, replicas: int) -> None:
        """Set the number of replicas from the first tick on."""
        self.replicas = replicas

    def decide(self, seen: Observation) -> int:
        """Return the same number, whatever is observed."""
        del seen
        return self.replicas
