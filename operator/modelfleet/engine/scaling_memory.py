"""Memory of the scaling pass for one model: recent traffic, and what it has taught.

Written by `scaling.tick`, and by `engine.memory` where an earlier leader has learned it. Times are
monotonic seconds.
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
    work: ServiceTime = field(default_factory=ServiceTime)
    first_work: ServiceTime = field(default_factory=ServiceTime)
    """Of inherited replicas while this leader began: of use where nothing else is known."""
    answered: AnswerTimes = field(default_factory=AnswerTimes)
    """Times of answers before this leader, from the gateways."""
    evidence: Evidence = field(default_factory=Evidence)
    evidence_of: tuple[str, float | None] | None = None
    """Version and objective in seconds that the evidence was measured for.

    None: what an earlier leader left is taken for that of the present version and objective.
    """
    slots: int | None = None
    """Learned concurrency of a replica within the objective; None before it was learned."""
    is_as_before: bool = False
    """Whether answers have been as quick again as before this leader."""
    whole_since: float | None = None
    """Since when every signal has a current value."""

    def learned(self) -> ServiceTime:
        """Service time of a request, as far as anything is known."""
        return self.work if self.work.answers > 0 else self.first_work.corrected(self.answered)
