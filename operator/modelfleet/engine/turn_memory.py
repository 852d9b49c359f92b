"""Memory of the turns of one model: causes, refusals, the time of the last status.

Only `model.turn` writes it. Times are monotonic seconds.
"""

from dataclasses import dataclass, field

from modelfleet.api.reasons import Reason
from modelfleet.errors import ModelfleetError, Refused
from modelfleet.facts.model import Fault

TAKEN_SECONDS = 30.0
MAX_PAUSE_SECONDS = 60.0
"""Longest time between two attempts at a write that the API server refuses."""


@dataclass(slots=True)
class Refusal:
    """A write that the API server did not accept: since when, and the message of the server.

    `attempts` in a row were refused; the next one is due at `next_at`.
    """

    since: float
    message: str
    is_final: bool
    reason: Reason
    attempts: int
    next_at: float


@dataclass(slots=True)
class TurnMemory:
    """`causes`: since when each cause is present. `taken`: when a name was found taken."""

    causes: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    unmoved: dict[str, str] = field(default_factory=dict)
    """Objects that a repair left as they were, to the edition that was repaired."""
    images: dict[str, str | None] = field(default_factory=dict)
    """Images that were written into versions, whether the API server has kept them or not."""
    generation: int = 0
    """Generation of the spec at the last turn."""
    status_at: float = float("-inf")
    """Time of the last write of the status."""

    def note_causes(self, present: frozenset[str], now: float) -> None:
        """Keep since when each cause is present; drop the causes that went away."""
        self.causes = {cause: self.causes.get(cause, now) for cause in sorted(present)}

    def cause_seconds(self, now: float) -> dict[str, float]:
        """Return for how many seconds each cause has lasted."""
        return {cause: now - since for cause, since in self.causes.items()}

    def note_refusal(
        self, identity: str, error: ModelfleetError, now: float, reason: Reason
    ) -> None:
        """Record that a write was refused; the time of the first refusal is kept."""
        earlier = self.refused.get(identity)
        since, attempts = (now, 1) if earlier is None else (earlier.since, earlier.attempts + 1)
        pause = min(2.0 ** (attempts - 1), MAX_PAUSE_SECONDS)
        self.refused[identity] = Refusal(
            since, str(error), isinstance(error, Refused), reason, attempts, now + pause
        )

    def pause_seconds(self, identity: str, now: float) -> float:
        """Return for how long a refused write is not tried again; 0 when it may be made."""
        refusal = self.refused.get(identity)
        return 0.0 if refusal is None else max(0.0, refusal.next_at - now)

    def note_generation(self, generation: int) -> None:
        """Let all refused writes be tried at once when the spec has changed."""
        if generation != self.generation:
            for refusal in self.refused.values():
                refusal.next_at = float("-inf")
        self.generation = generation

    def keep_refusals(self, wanted: set[str]) -> None:
        """Drop the refusals of writes that are not needed any more."""
        self.refused = {name: refusal for name, refusal in self.refused.items() if name in wanted}

    def refusals(self, now: float, hopeless_seconds: float) -> dict[str, Fault]:
        """Return refusals as faults.

        A fault is hopeless when the object itself is wrong, or when the refusal lasts too long.
        """
        return {
            identity: Fault(
                refusal.reason.value,
                f"{identity}: {refusal.message}"[:600],
                refusal.is_final or now - refusal.since >= hopeless_seconds,
            )
            for identity, refusal in sorted(self.refused.items())
        }

    def still_taken(self, now: float) -> frozenset[str]:
        """Return names that were found taken less than 30 s ago; older ones are tried again."""
        return frozenset(name for name, at in self.taken.items() if now - at < TAKEN_SECONDS)
