"""What a rollout strategy is: from what is in effect to the next weights.

Implemented by the members of this catalogue, called by `model.decide`. Must never start or stop a
pod: it says what each version must be able to carry (`floors`), `model.replica_targets` does the
rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

StepName = Literal["Preparing", "Shifting", "Promoting", "Draining", "Retaining", "Superseding"]


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """A rollout as it stands. `in_effect` counts the replicas that every gateway can use.

    `needed` is how many replicas carry all of the observed load. `is_confirmed`: every gateway
    has the present route in effect. `weights` are those of the present route. `is_known`: every
    gateway has told what it has; if not, `in_effect` says nothing and weights must not move.
    """

    stable: str | None
    candidate: str
    in_effect: Mapping[str, int]
    needed: int
    weights: Mapping[str, int]
    is_confirmed: bool
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """The next step: weights by version (sum 100), least replicas by version, and why."""

    name: StepName
    weights: Mapping[str, int]
    is_complete: bool
    why: str
    floors: Mapping[str, int] = field(default_factory=dict)


class Strategy(Protocol):
    """One member of the catalogue."""

    name: str

    def step(self, facts: RolloutFacts) -> Step:
        """What to do next; the same facts give the same step."""
        ...
