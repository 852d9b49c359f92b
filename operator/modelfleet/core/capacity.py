"""What one request costs a replica: learned from what the gateways saw, guarded by Little's law.

Called by `engine.tick` with each bucket of a model. Time that requests spend waiting inside a busy
replica must never count as work, or an overload would look like a slower model.
"""

import math
from dataclasses import dataclass

from modelfleet.facts.scaling import Bucket

MEMORY_SECONDS = 600.0
"""Time constant of the forgetting, in seconds with answers."""


@dataclass(frozen=True, slots=True)
class Work:
    """Forgetful sums: seconds that answers took, answers, and slot-seconds that were there."""

    seconds: float = 0.0
    answers: float = 0.0
    available: float = 0.0

    def after(self, bucket: Bucket, slots: float) -> "Work":
        """The sums with one more bucket, during which `slots` slots were ready."""
        kept = math.exp(-bucket.seconds / MEMORY_SECONDS) if bucket.completions else 1.0
        return Work(
            kept * self.seconds + bucket.service_seconds,
            kept * self.answers + bucket.completions,
            kept * self.available + slots * bucket.seconds,
        )

    @property
    def service_seconds(self) -> float | None:
        """Seconds of a slot that one request needs; None before the first answer.

        No more work can have been done than slots were there (Little 1961): while more requests
        are under way than slots, throughput is the capacity and the latency is not.

        Worked example: 100 answers of 2 s in 10 s by 4 slots: 40 slot-seconds, so 0.4 s each.
        """
        if self.answers <= 0:
            return None
        done = min(self.seconds, self.available) if self.available > 0 else self.seconds
        return done / self.answers
