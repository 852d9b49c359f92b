"""Memory of the turns of one model: causes, refusals, the time of the last status.

Written by `model.turn` only. Times are monotonic seconds.
"""

from dataclasses import dataclass, field

from modelfleet.api.reasons import Reason
from modelfleet.errors import ModelfleetError, Refused
from modelfleet.facts.model import Fault

TAKEN_SECONDS = 30.0


@dataclass(slots=True)
class Refusal:
    """An object that the API server did not take: since when, and its words."""

    since: float
    message: str
    is_final: bool


@dataclass(slots=True)
class TurnMemory:
    """`causes`: since when each is there. `taken`: when a name was found taken."""

    causes: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    status_at: float = float("-inf")
    """When the status was written last."""

    def note_causes(self, present: frozenset[str], now: float) -> None:
        """Keep since when each cause is there; one that went away is forgotten."""
        self.causes = {cause: self.causes.get(cause, now) for cause in sorted(present)}

    def cause_seconds(self, now: float) -> dict[str, float]:
        """How long each cause has lasted."""
        return {cause: now - since for cause, since in self.causes.items()}

    def note_refusal(self, identity: str, error: ModelfleetError, now: float) -> None:
        """An object could not be made; the first time counts."""
        known = self.refused.get(identity)
        since = now if known is None else known.since
        self.refused[identity] = Refusal(since, str(error), isinstance(error, Refused))

    def keep_refusals(self, wanted: set[str]) -> None:
        """Forget those of objects that are not to be made any more."""
        self.refused = {name: one for name, one in self.refused.items() if name in wanted}

    def refusals(self, now: float, hopeless_seconds: float) -> dict[str, Fault]:
        """As faults; hopeless when the object itself is wrong, or after lasting too long."""
        return {
            identity: Fault(
                Reason.CREATE_REFUSED.value,
                f"{identity}: {refusal.message}"[:600],
                refusal.is_final or now - refusal.since >= hopeless_seconds,
            )
            for identity, refusal in sorted(self.refused.items())
        }

    def still_taken(self, now: float) -> frozenset[str]:
        """Names found taken a short while ago; after that they are tried again."""
        return frozenset(what for what, at in self.taken.items() if now - at < TAKEN_SECONDS)
