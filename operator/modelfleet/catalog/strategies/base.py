"""Protocol of a rollout strategy: from the replicas in effect to the next weights.

`model.decide` asks the member that the spec names; `model.replica_targets` then applies the step's
`floors`. Must never start or stop a pod: a strategy only states how many replicas each version must
have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

StepName = Literal["Preparing", "Shifting", "Promoting", "Draining", "Retaining", "Superseding"]


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """State of a rollout; `in_effect` counts the replicas that every gateway can use.

    `needed` is the number of replicas for the whole load. `is_confirmed`: every gateway has
    acknowledged the present route. `weights` are those of the present route. `is_known`: every
    gateway has reported; if not, `in_effect` is incomplete and weights must not move.
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
    """Next step: weights by version (sum 100), least replicas by version (`floors`), and why."""

    name: StepName
    weights: Mapping[str, int]
    is_complete: bool
    why: str
    floors: Mapping[str, int] = field(default_factory=dict)


class Strategy(Protocol):
    """Member of the catalogue."""

    name: str

    def step(self, facts: RolloutFacts) -> Step:
        """Return the next step; equal facts give an equal step."""
        ...
