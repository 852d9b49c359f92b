"""A fleet of constant size: what most people run, and what sometimes cannot be beaten.

Used by the benchmark at the cheapest size that keeps the promise, chosen in hindsight.
"""

from modelfleet.simulate.scaler import Observation


class Static:
    """Always the same number of replicas."""

    name = "static"
    interval_seconds = 3600.0
    delay_seconds = 0.0
    wake_seconds: float | None = None
    memory_seconds = 0.0

    def __init__(self, replicas: int) -> None:
        """`replicas` from the first tick on."""
        self.replicas = replicas

    def decide(self, seen: Observation) -> int:
        """Regardless of what is seen."""
        del seen
        return self.replicas
