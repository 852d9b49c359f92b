"""What one request costs a replica: learned from what the gateways saw, guarded by Little's law.

Called by `scaling.tick` with each bucket of a model. Time that requests spend waiting inside a busy
replica must never count as work, or an overload would look like a slower model.
"""

from dataclasses import dataclass

from modelfleet.facts.scaling import Bucket
from modelfleet.facts.traffic import AnswerTimes, kept_share


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Forgetful sums: seconds that answers took, answers, and slot-seconds that were there."""

    seconds: float = 0.0
    answers: float = 0.0
    available: float = 0.0

    def after(self, bucket: Bucket, slots: float) -> "ServiceTime":
        """The sums with one more bucket, during which `slots` slots were ready."""
        kept = kept_share(bucket.seconds, bucket.completions)
        return ServiceTime(
            kept * self.seconds + bucket.service_seconds,
            kept * self.answers + bucket.completions,
            kept * self.available + slots * bucket.seconds,
        )

    def corrected(self, told: AnswerTimes) -> "ServiceTime":
        """What to begin with after a bad moment, from what gateways remember of the time before.

        Their memory counts waits inside a busy replica, and the answers of that moment were slow:
        the lower of both is the truth. Worked example: 80 ms were seen: 8 ms told are believed in
        full, and of 5 s told nothing.
        """
        own = self.service_seconds
        if own is None or told.answers <= 0 or told.seconds > own * told.answers:
            return self.doubted()
        return ServiceTime(told.seconds, told.answers, told.seconds)

    def doubted(self) -> "ServiceTime":
        """The same service time, counting as one answer only: outweighed by what comes.

        Worked example: 1,000 answers of 80 ms, then 50 of 8 ms: (80 + 50 * 8) / 51 = 9.4 ms.
        """
        share = min(1.0, 1.0 / self.answers) if self.answers > 0 else 1.0
        return ServiceTime(share * self.seconds, share * self.answers, share * self.available)

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
