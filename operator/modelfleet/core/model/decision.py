"""The decision for one MLModel as one value, and which changes of a status count as decisions.

Made by `decide`; `model.status` and `events` write it down. The turn asks here how soon a status
has to be written.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.catalog.strategies import Step
from modelfleet.core.model.obstacles import Obstacle
from modelfleet.core.model.roles import Roles
from modelfleet.core.model.wanted_version import WantedVersion
from modelfleet.core.scaling.schedules import Bounds
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.route import Route

_READ_BACK = ("candidate", "last_version", "retained", "retained_until", "rollout", "versions")
"""Fields of the status, beside decisions, that the next pass decides from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be so next, for a spec that can be followed."""

    spec: MLModelSpec
    wanted: WantedVersion
    """The version that the spec asks for, and what is missing before it exists."""
    roles: Roles
    """Versions by role; after a promotion the new version is already the stable one."""
    step: Step | None
    """Step of the rollout; None where none is under way."""
    allowed: Bounds
    """Bounds of replicas that hold now."""
    grant: int
    """Replicas that the model gets."""
    targets: Mapping[str, int]
    """Replicas by version."""
    route: Route | None
    """Route for the gateways; None before the first version."""
    is_confirmed: bool
    """Whether every gateway has the present route in effect."""
    retained: str | None
    """Former version that is kept warm; None when there is none."""
    retained_until: str | None
    """RFC 3339 time at which it is let go."""
    obstacle: Obstacle | None
    """The obstacle that matters most; None when nothing is wrong."""
    is_paused: bool
    """Whether `spec.paused` holds a rollout back."""
    moving: str
    """What the rollout or the first start waits for, in words; empty at rest."""

    @property
    def is_resolving(self) -> bool:
        """Whether the artifact's digest is being determined."""
        return self.wanted.is_resolving

    @property
    def draining(self) -> str | None:
        """A former version whose replicas finish their requests; None when there is none."""
        leaving = [v.name for v in self.roles.others if v.name != self.retained and v.replicas > 0]
        return leaving[0] if leaving else None

    def leads(self, facts: ModelFacts) -> bool:
        """Whether the status must be written before anything that follows from this decision.

        So for a promotion and for another number of replicas: a leader that dies after the write
        must not leave consequences that its successor cannot know of, and would undo.
        """
        if self.roles.stable is not None and self.roles.stable.name != facts.status.stable:
            return True
        before = facts.status.scaling
        return (
            before is not None and self.roles.serving is not None and before.granted != self.grant
        )


def is_decision(before: MLModelStatus, after: MLModelStatus) -> bool:
    """Whether others wait for the change: a new route, promotion or grant."""
    routes = [status.route.revision if status.route else 0 for status in (before, after)]
    grants = [status.scaling.granted if status.scaling else None for status in (before, after)]
    return routes[0] != routes[1] or grants[0] != grants[1] or before.stable != after.stable


def leads_on(before: MLModelStatus, after: MLModelStatus) -> bool:
    """Whether the next pass decides from what changed; conditions alone lead to nothing."""
    return is_decision(before, after) or any(
        getattr(before, name) != getattr(after, name) for name in _READ_BACK
    )
