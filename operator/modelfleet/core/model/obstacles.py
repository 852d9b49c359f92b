"""What stands in a version's way, in words that say what to do.

Called by `decide` and `model.status`. A slow load is not a fault; a cause that goes away is
forgotten by the next turn.
"""

from dataclasses import dataclass

from modelfleet.api.reasons import Reason
from modelfleet.core.model.roles import Roles
from modelfleet.core.model.wanted_version import WantedVersion
from modelfleet.facts.model import Fault, ModelFacts, PodFacts, VersionFacts


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A cause, the version it concerns, and whether waiting is hopeless."""

    reason: Reason
    message: str
    version: str
    is_hopeless: bool

    @property
    def cause(self) -> str:
        """Identity of the cause: by it the engine measures how long it lasts."""
        return f"{self.reason.value}:{self.version}"


def worst(facts: ModelFacts, wanted: WantedVersion, roles: Roles) -> Obstacle | None:
    """The first of OBSTACLES that is there."""
    for look in OBSTACLES:
        obstacle = look(facts, wanted, roles)
        if obstacle is not None:
            return obstacle
    return None


def _name_taken(facts: ModelFacts, _: WantedVersion, __: Roles) -> Obstacle | None:
    if not facts.taken:
        return None
    fault = Fault("NameTaken", f"{min(facts.taken)} exists and is not ours", is_hopeless=True)
    return of_fault(facts, Reason.NAME_TAKEN, fault, "")


def _create_refused(facts: ModelFacts, _: WantedVersion, __: Roles) -> Obstacle | None:
    if not facts.refused:
        return None
    return of_fault(facts, Reason.CREATE_REFUSED, facts.refused[min(facts.refused)], "")


def _version_not_made(facts: ModelFacts, wanted: WantedVersion, _: Roles) -> Obstacle | None:
    if wanted.obstacle is None:
        return None
    reason, fault = wanted.obstacle
    return of_fault(facts, reason, fault, "")


def _route_rejected(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    """The route names the candidate first: where there is one, it is what was refused."""
    if not facts.gateways.rejections or roles.serving is None:
        return None
    gateway, words = min(facts.gateways.rejections.items())
    fault = Fault(Reason.ROUTE_REJECTED.value, f"gateway {gateway} refuses the route: {words}")
    return of_fault(facts, Reason.ROUTE_REJECTED, fault, (roles.candidate or roles.serving).name)


def _candidate_ails(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    return None if roles.candidate is None else of_version(facts, roles.candidate)


def _stable_ails(facts: ModelFacts, _: WantedVersion, roles: Roles) -> Obstacle | None:
    return None if roles.stable is None else of_version(facts, roles.stable)


OBSTACLES = (
    _name_taken,  # nothing can be made under a foreign name
    _create_refused,  # the API server does not take what the model needs
    _version_not_made,  # the spec asks for a version that cannot be made
    _route_rejected,  # a gateway cannot carry what was decided
    _candidate_ails,  # replicas of the new version do not become ready
    _stable_ails,  # replicas of the serving version are not ready any more
)
"""What keeps the wanted version back comes before what ails the one that serves."""


def of_fault(facts: ModelFacts, reason: Reason, fault: Fault, version: str) -> Obstacle:
    """An obstacle from a fault; hopeless at once if it says so, or after lasting too long."""
    cause = f"{reason.value}:{version}"
    lasted = facts.cause_seconds.get(cause, 0.0)
    message = f"{fault.message}; {reason.advice}" if reason.advice else fault.message
    hopeless = fault.is_hopeless or lasted >= facts.defaults.hopeless_seconds
    return Obstacle(reason, message[:1000], version, hopeless)


def of_version(facts: ModelFacts, version: VersionFacts) -> Obstacle | None:
    """The worst obstacle among a version's pods: hopeless first, then the oldest pod's."""
    found = []
    for pod in sorted(version.alive, key=lambda p: (p.created_at, p.name)):
        fault = _fault_of(facts, version, pod)
        if fault is not None:
            reason = _reason(fault.reason)
            found.append(
                of_fault(
                    facts,
                    reason,
                    Fault(fault.reason, fault.message, fault.is_hopeless),
                    version.name,
                )
            )
    child = version.deployment
    if child is not None and child.fault is not None and len(version.alive) < version.replicas:
        found.append(of_fault(facts, _reason(child.fault.reason), child.fault, version.name))
    if not found:
        return None
    return min(found, key=lambda o: (not o.is_hopeless,))


def _fault_of(facts: ModelFacts, version: VersionFacts, pod: PodFacts) -> Fault | None:
    if pod.is_ready:
        wrong = facts.gateways.probe_failures.get(pod.endpoint or "")
        return Fault(Reason.PROBE_FAILED.value, f"{pod.name}: {wrong}") if wrong else None
    if pod.fault is not None:
        return pod.fault
    since = pod.unready_since or pod.created_at
    if (facts.now - since).total_seconds() > version.spec.startup_seconds:
        text = f"{pod.name} is not ready after {version.spec.startup_seconds} s"
        return Fault(Reason.START_TIMEOUT.value, text, is_hopeless=True)
    return None


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.CONTAINER_FAILED
