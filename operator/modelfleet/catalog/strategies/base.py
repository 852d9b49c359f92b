"""Protocol of a rollout strategy: from the replicas in effect to the next weights.

`model.decide` asks the member that the spec names; `model.gating` may hold its weights back, and
`model.replica_targets` applies its `floors`. Must never start or stop a pod: a strategy only states
how many replicas each version must have.

Each strategy has to handle two cases: a first version (`stable` is None), and gateways that are
silent or refuse the route (`is_known` is False), in which weights must not move.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from modelfleet.api.mlmodel import Rollout
from modelfleet.facts.evidence import Evidences


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """State of a rollout; `in_effect` counts the replicas that every gateway can use.

    `needed` is the number of replicas for the whole load. `is_confirmed`: every gateway has
    acknowledged the present route. `weights` are those of the present route; without gateways no
    weights exist, and the candidate counts as having all. `is_known`: every gateway has reported
    and none refuses the route; if not, weights must not move. `now` is in UTC.
    """

    stable: str | None
    candidate: str
    in_effect: Mapping[str, int]
    needed: int
    weights: Mapping[str, int]
    is_confirmed: bool
    now: datetime
    params: Rollout
    """The rollout section of the spec."""
    is_known: bool = True
    state: Mapping[str, str] = field(default_factory=dict)
    """State that the last step of this rollout left in the status; empty at its begin."""
    evidence: Evidences = field(default_factory=dict)
    """Requests by version since the candidate appeared."""


@dataclass(frozen=True, slots=True)
class Step:
    """Next step: weights by version (sum 100), least replicas by version (`floors`), and why.

    `name` is a word of at most 32 letters, such as `Shifting`. The stable version always has at
    least the replicas for the whole load; a candidate without a floor gets as many.
    """

    name: str
    weights: Mapping[str, int]
    is_complete: bool
    why: str
    floors: Mapping[str, int] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)
    """State to find again at the next step, also after a restart or a pause. It stands in the
    status: at most 16 keys, values of at most 256 characters. A step that does not repeat a key
    ends it."""
    waits_for_gateways: bool = False
    """Whether the step waits for gateways, and not for replicas."""
    look_again_seconds: float | None = None
    """Seconds after which `step` must be asked again, because its result depends on the time."""


class Strategy(Protocol):
    """Member of the catalogue."""

    name: str

    def step(self, facts: RolloutFacts) -> Step:
        """Return the next step; equal facts give an equal step."""
        ...
