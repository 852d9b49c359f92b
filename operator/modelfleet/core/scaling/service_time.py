"""Service time: seconds of a slot that one request needs, learned from the gateways' answers.

`scaling.tick` adds each bucket of a model. Little's law bounds the result. Time that requests wait
inside a busy replica must never count as work, or an overload would look like a slower model.
"""

from dataclasses import dataclass

from modelfleet.facts.scaling import Bucket
from modelfleet.facts.traffic import AnswerTimes, kept_share


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Sums that fade: seconds that answers took, answers, and slot-seconds that were available."""

    seconds: float = 0.0
    answers: float = 0.0
    available: float = 0.0

    def after(self, bucket: Bucket, slots: float) -> "ServiceTime":
        """Return the sums with one more bucket, during which `slots` slots were ready."""
        share = kept_share(bucket.seconds, bucket.completions)
        return ServiceTime(
            share * self.seconds + bucket.service_seconds,
            share * self.answers + bucket.completions,
            share * self.available + slots * bucket.seconds,
        )

    def corrected(self, stored: AnswerTimes) -> "ServiceTime":
        """Return the start value after a bad moment, from the gateways' memory of answer times.

        The gateways' times include waits inside a busy replica, and the answers of the bad moment
        were slow: the lower of both is right. Worked example: 80 ms were measured now: stored 8 ms
        are used in full, and stored 5 s are ignored.
        """
        own = self.service_seconds
        if own is None or stored.answers <= 0 or stored.seconds > own * stored.answers:
            return self.doubted()
        return ServiceTime(stored.seconds, stored.answers, stored.seconds)

    def doubted(self) -> "ServiceTime":
        """Return the same service time with the weight of one answer: new answers soon outweigh it.

        Worked example: 1,000 answers of 80 ms, then 50 of 8 ms: (80 + 50 * 8) / 51 = 9.4 ms.
        """
        share = min(1.0, 1.0 / self.answers) if self.answers > 0 else 1.0
        return ServiceTime(share * self.seconds, share * self.answers, share * self.available)

    @property
    def service_seconds(self) -> float | None:
        """Seconds of a slot that one request needs; None before the first answer.

        No more work can have been done than slots were available (Little 1961). While more requests
        are under way than slots exist, throughput measures the capacity and latency does not.

        Worked example: 100 answers of 2 s in 10 s by 4 slots: 40 slot-seconds, so 0.4 s each.
        """
        if self.answers <= 0:
            return None
        done = min(self.seconds, self.available) if self.available > 0 else self.seconds
        return done / self.answers
