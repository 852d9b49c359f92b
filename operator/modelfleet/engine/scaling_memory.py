"""Memory of the scaling pass for one model: recent traffic, and what was learned from it.

`scaling.tick` writes it. The modules of `memory` fill it where an earlier leader has learned
something. Times are monotonic seconds.
"""

from collections import deque
from dataclasses import dataclass, field

from modelfleet.core.scaling.learned_concurrency import Evidence
from modelfleet.core.scaling.service_time import ServiceTime
from modelfleet.facts.scaling import Bucket
from modelfleet.facts.traffic import AnswerTimes

KEPT_BUCKETS = 180


@dataclass(slots=True)
class ScalingMemory:
    """Buckets of about a second, oldest first; `needs` are (time, replicas) of the demand."""

    buckets: deque[Bucket] = field(default_factory=lambda: deque(maxlen=KEPT_BUCKETS))
    needs: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=KEPT_BUCKETS * 4)
    )
    service_time: ServiceTime = field(default_factory=ServiceTime)
    first_service_time: ServiceTime = field(default_factory=ServiceTime)
    """Service time of inherited replicas while this leader began, used until there is a later
    one."""
    answered: AnswerTimes = field(default_factory=AnswerTimes)
    """Times of answers before this leader, from the gateways."""
    evidence: Evidence = field(default_factory=Evidence)
    evidence_of: tuple[str, float | None] | None = None
    """Version and objective in seconds that the evidence was measured for. None: evidence of an
    earlier leader counts for the present version and objective."""
    slots: int | None = None
    """Learned concurrency of a replica within the objective; None before it was learned."""
    rollout_of: tuple[str, str] = ("", "")
    """Stable version and candidate that the evidence of the answer is for."""
    is_as_before: bool = False
    """Whether answers have become as quick again as before this leader."""
    whole_since: float | None = None
    """Time since which every signal has a current value."""

    def carried(self) -> "ScalingMemory":
        """Return the learned capacity alone: traffic and waits of an earlier time say nothing."""
        return ScalingMemory(
            service_time=self.service_time,
            evidence=self.evidence,
            evidence_of=self.evidence_of,
            slots=self.slots,
        )

    def learned(self) -> ServiceTime:
        """Return the service time of a request; it has zero answers before anything was learned."""
        return (
            self.service_time
            if self.service_time.answers > 0
            else self.first_service_time.corrected(self.answered)
        )
