"""Obstacles: what keeps a model from what its spec asks for, with advice.

`model.status` turns the first one into conditions. A slow load is no obstacle. A cause that has
disappeared is absent from the next turn's obstacles.
"""

from dataclasses import dataclass

from modelfleet.api.reasons import Reason
from modelfleet.core.model.invariants import unsafe_part
from modelfleet.core.model.roles import Roles
from modelfleet.core.model.version.wanted_version import WantedVersion
from modelfleet.facts.model import Fault, ModelFacts, PodFacts, VersionFacts

BUDGET = "PodDisruptionBudget/"
"""Names of objects without which a model serves all the same; `model.status` names a refusal."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A cause, the version that it concerns, and whether waiting cannot help."""

    reason: Reason
    message: str
    version: str
    is_hopeless: bool

    @property
    def cause(self) -> str:
        """Identity of the cause: the engine measures how long each identity lasts."""
        return f"{self.reason.value}:{self.version}"


def worst(facts: ModelFacts, wanted: WantedVersion, roles: Roles) -> Obstacle | None:
    """Return the first obstacle of OBSTACLES that exists."""
    for find in OBSTACLES:
        obstacle = find(facts, wanted, roles)
        if obstacle is not None:
            return obstacle
    return None


def _name_taken(facts: ModelFacts, _: WantedVersion, __: Roles) -> Obstacle | None:
    if not facts.taken:
        return None
    text = f"{min(facts.taken)} exists and is not owned by this model"
    fault = Fault("NameTaken", text, is_hopeless=True)
    return of_fault(facts, Reason.NAME_TAKEN, fault, "")


def _write_refused(facts: ModelFacts, _: WantedVersion, __: Roles) -> Obstacle | None:
    refused = [name for name in sorted(facts.refused) if not name.startswith(BUDGET)]
    if not refused:
        return None
    fault = facts.refused[refused[0]]
    return of_fault(facts, _reason(fault.reason), fault, "")


def _version_not_made(facts: ModelFacts, wanted: WantedVersion, _: Roles) -> Obstacle | None:
    if wanted.obstacle is None:
        return None
    reason, fault = wanted.obstacle
    return of_fault(facts, reason, fault, "")


def _unsafe_template(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    """Return the right of a pod that no version of ours has; `model.invariants` writes none."""
    for version in (roles.candidate, roles.stable):
        excess = "" if version is None else unsafe_part(version.template.get("spec", {}))
        if version is not None and excess:
            text = f"the pods of {version.name} have {excess}, which no version of modelfleet has"
            fault = Fault(Reason.PLAN_REFUSED.value, text, is_hopeless=True)
            return of_fault(facts, Reason.PLAN_REFUSED, fault, version.name)
    return None


def _route_rejected(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    """Return the refusal of a route; it concerns the candidate, if there is one."""
    if not facts.gateways.rejections or roles.serving is None:
        return None
    gateway, error = min(facts.gateways.rejections.items())
    fault = Fault(Reason.ROUTE_REJECTED.value, f"gateway {gateway} refuses the route: {error}")
    return of_fault(facts, Reason.ROUTE_REJECTED, fault, (roles.candidate or roles.serving).name)


def _candidate_fault(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    return None if roles.candidate is None else of_version(facts, roles.candidate)


def _stable_fault(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    return None if roles.stable is None else of_version(facts, roles.stable)


OBSTACLES = (
    _name_taken,  # a foreign object has a name that the model needs
    _write_refused,  # the API server refuses an object that the model needs, or its change
    _version_not_made,  # the version that the spec asks for cannot be created
    _unsafe_template,  # somebody wrote a version whose pods have more rights than ours
    _route_rejected,  # a gateway refuses the route
    _candidate_fault,  # replicas of the new version do not become ready
    _stable_fault,  # replicas of the serving version are not ready any more
)
"""Order of importance: obstacles of the wanted version come before those of the serving one."""


def of_fault(facts: ModelFacts, reason: Reason, fault: Fault, version: str) -> Obstacle:
    """Return a fault as an obstacle; hopeless at once, or once it has lasted `hopeless_seconds`."""
    cause = f"{reason.value}:{version}"
    lasted = facts.cause_seconds.get(cause, 0.0)
    message = f"{fault.message}; {reason.advice}" if reason.advice else fault.message
    hopeless = fault.is_hopeless or lasted >= facts.defaults.hopeless_seconds
    return Obstacle(reason, message[:1000], version, hopeless)


def of_version(facts: ModelFacts, version: VersionFacts) -> Obstacle | None:
    """Return the worst obstacle of a version's pods: hopeless first, then the oldest pod's."""
    obstacles = []
    for pod in sorted(version.alive, key=lambda p: (p.created_at, p.name)):
        fault = _fault_of(facts, version, pod)
        if fault is not None:
            reason = _reason(fault.reason)
            obstacles.append(
                of_fault(
                    facts,
                    reason,
                    Fault(fault.reason, fault.message, fault.is_hopeless),
                    version.name,
                )
            )
    deployment = version.deployment
    if (
        deployment is not None
        and deployment.fault is not None
        and len(version.alive) < version.replicas
    ):
        obstacles.append(
            of_fault(facts, _reason(deployment.fault.reason), deployment.fault, version.name)
        )
    if not obstacles and version.failed and version.ready < version.replicas:
        fault = version.failed[-1].fault
        if fault is not None:
            return of_fault(facts, _reason(fault.reason), fault, version.name)
    if not obstacles:
        return None
    return min(obstacles, key=lambda o: (not o.is_hopeless,))


def _fault_of(facts: ModelFacts, version: VersionFacts, pod: PodFacts) -> Fault | None:
    if pod.is_ready:
        failure = facts.gateways.probe_failures.get(pod.endpoint or "")
        return Fault(Reason.PROBE_FAILED.value, f"{pod.name}: {failure}") if failure else None
    if pod.fault is not None:
        return pod.fault
    if pod.is_fetching:
        return None
    since = max(filter(None, (pod.unready_since, pod.created_at, pod.fetched_at)))
    if (facts.now - since).total_seconds() > version.spec.startup_seconds:
        text = f"{pod.name} is not ready after {version.spec.startup_seconds} s"
        return Fault(Reason.START_TIMEOUT.value, text, is_hopeless=True)
    return None


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.CONTAINER_FAILED
