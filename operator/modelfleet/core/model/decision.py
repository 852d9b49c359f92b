"""The decision for one MLModel as one value, and the changes of a status that count as decisions.

`model.decide` fills it; `model.status` and `model.events` render it. `engine.model.turn` uses
`is_decision` and `leads_on` to choose how soon to write a status.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.catalog.strategies import Step
from modelfleet.core.model.obstacles import Obstacle
from modelfleet.core.model.roles import Roles
from modelfleet.core.model.version.wanted_version import WantedVersion
from modelfleet.core.scaling.schedules import Bounds
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.route import Route

_READ_BACK = ("candidate", "last_version", "retained", "retained_until", "rollout", "versions")
"""Status fields, beside those of decisions, that are input of the next turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next state of a model, for a valid spec."""

    spec: MLModelSpec
    wanted: WantedVersion
    """The version that the spec asks for, and what is missing before it exists."""
    roles: Roles
    """Versions by role; after a promotion the new version is already the stable one."""
    step: Step | None
    """Step of the rollout; None without a rollout."""
    allowed: Bounds
    """Bounds of replicas that hold now."""
    grant: int
    """Replicas that the model gets."""
    targets: Mapping[str, int]
    """Replicas wanted, by version."""
    route: Route | None
    """Route for the gateways; None before the first version."""
    is_confirmed: bool
    """Whether every gateway has acknowledged the present route."""
    retained: str | None
    """Former version that is kept warm; None when there is none."""
    retained_until: str | None
    """RFC 3339 time at which the retained version is emptied; None without one."""
    obstacle: Obstacle | None
    """The most important obstacle; None when there is none."""
    is_paused: bool
    """Whether `spec.paused` stops a rollout."""
    moving: str
    """Fact that the rollout or the first start waits for, as a sentence; empty without either."""
    waits_for_gateways: bool
    """Whether a silent gateway keeps the rollout from going on."""
    drain_waits: str = ""
    """Cause of a drain that has waited for 60 s or longer; empty otherwise."""

    @property
    def is_resolving(self) -> bool:
        """Whether the artifact's digest is being determined."""
        return self.wanted.is_resolving

    @property
    def draining(self) -> str | None:
        """A former version that still has a pod or should have one; None when there is none."""
        others = [v for v in self.roles.others if v.name != self.retained]
        leaving = [v.name for v in others if v.replicas > 0 or v.pods]
        return leaving[0] if leaving else None

    def leads(self, facts: ModelFacts) -> bool:
        """Return whether the status must be written before all that follows from this decision.

        True for a promotion and for another number of replicas. A leader may die after it wrote the
        consequences. The next leader must find their cause in the status, or it would undo them.
        """
        if self.roles.stable is not None and self.roles.stable.name != facts.status.stable:
            return True
        before = facts.status.scaling
        return (
            before is not None and self.roles.serving is not None and before.granted != self.grant
        )


def is_decision(before: MLModelStatus, after: MLModelStatus) -> bool:
    """Return whether the route, the stable version or the grant changed."""
    routes = [status.route.revision if status.route else 0 for status in (before, after)]
    grants = [status.scaling.granted if status.scaling else None for status in (before, after)]
    return routes[0] != routes[1] or grants[0] != grants[1] or before.stable != after.stable


def leads_on(before: MLModelStatus, after: MLModelStatus) -> bool:
    """Return whether the change is input of the next turn; changed conditions alone are not."""
    return is_decision(before, after) or any(
        getattr(before, name) != getattr(after, name) for name in _READ_BACK
    )
