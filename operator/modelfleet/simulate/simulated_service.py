"""Figures of one simulated model service: start-up, longest wait, slots, service times.

`arrivals`, `world`, the baselines and `shipped_scaler` read them. Values only.
"""

import math
from dataclasses import dataclass

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Replica that processes its requests together, as LLM servers with continuous batching do.

    A request among n requests takes prefill + tokens * (alpha + beta * n) seconds.
    """

    prefill_seconds: float
    tokens: float
    alpha_seconds: float
    beta_seconds: float

    def request_seconds(self, together: float) -> float:
        """Return the seconds of one mean request while `together` requests are processed.

        Worked example: prefill 0.5 s, 100 tokens, alpha 20 ms, beta 1 ms, 10 together: 0.5 + 100 *
        0.03 = 3.5 s.
        """
        return self.prefill_seconds + self.tokens * (
            self.alpha_seconds + self.beta_seconds * together
        )

    def throughput(self, together: float) -> float:
        """Return the requests per second of a replica, mu(n) = n / request_seconds(n)."""
        return together / self.request_seconds(together)


@dataclass(frozen=True, slots=True)
class SimulatedService:
    """One service; all times in seconds.

    `startup_seconds` (S) is the time from the creation of a replica to readiness, log-normal with
    `startup_cv`. A request is violated when it waits longer than `wait_seconds` (W). A replica has
    `slots` (k). A request without waiting takes `service_seconds` (s), log-normal with
    `service_cv`. `drift` 0.3 lets the mean swing by +-30 % over each day. With `batch`, requests
    slow each other down. `service_seconds` is then the time with all slots busy (see
    `batch_service`).
    """

    startup_seconds: float
    wait_seconds: float
    slots: int
    service_seconds: float
    service_cv: float = 0.7
    startup_cv: float = 0.0
    drift: float = 0.0
    batch: Batch | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot be simulated; raises ValueError that names the field."""
        for name in ("startup_seconds", "wait_seconds", "service_cv", "startup_cv"):
            if not 0 <= getattr(self, name) < math.inf:
                message = f"{name} must be 0 or more and finite: {getattr(self, name):g}"
                raise ValueError(message)
        if self.slots < 1:
            message = f"slots must be at least 1: {self.slots}"
            raise ValueError(message)
        if not 0 < self.service_seconds < math.inf:
            message = f"service_seconds must be above 0 and finite: {self.service_seconds:g}"
            raise ValueError(message)
        if not 0 <= self.drift < 1:
            message = f"drift must be in [0, 1): {self.drift}"
            raise ValueError(message)

    def capacity_per_second(self) -> float:
        """Return the requests per second of one replica with all slots busy, k / s."""
        return self.slots / self.service_seconds


def batch_service(
    batch: Batch, startup_seconds: float, wait_seconds: float, slots: int, service_cv: float = 0.7
) -> SimulatedService:
    """Return a service of batching replicas with at most `slots` requests each."""
    full = batch.request_seconds(slots)
    return SimulatedService(startup_seconds, wait_seconds, slots, full, service_cv, batch=batch)
