"""What stands in a version's way, in words that say what to do.

Called by `decide` and `model.status`. A slow load is not a fault; a cause that goes away is
forgotten by the next turn.
"""

from dataclasses import dataclass

from modelfleet.api.conditions import Reason
from modelfleet.facts.model import Fault, ModelFacts, PodFacts, VersionFacts

_ADVICE = {
    Reason.IMAGE_PULL_FAILED: "check runtime.image and the node's access to its registry",
    Reason.CRASH_LOOP: "read the logs of the pod",
    Reason.CONTAINER_FAILED: "check runtime.command, env and the Secrets they name",
    Reason.FETCH_FAILED: "check that model.uri can be fetched from the cluster",
    Reason.ARTIFACT_MISMATCH: "publish changed bytes under a new model.uri or model.version",
    Reason.NOT_A_MODEL: "check that model.uri names a valid ONNX file",
    Reason.UNSCHEDULABLE: "free or add capacity, or lower resources",
    Reason.START_TIMEOUT: "raise runtime.startupSeconds or make loading faster",
    Reason.PROBE_FAILED: "look at the model's answer; the replica is kept out of traffic",
    Reason.CONFIG_MAP_MISSING: "create it",
    Reason.CREATE_REFUSED: "change what the API server objects to",
    Reason.PODS_REFUSED: "raise the quota or change resources and runtime to what is allowed",
    Reason.NAME_TAKEN: "rename the model, or remove or rename that object",
}


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


def of_fault(facts: ModelFacts, reason: Reason, fault: Fault, version: str) -> Obstacle:
    """An obstacle from a fault; hopeless at once if it says so, or after lasting too long."""
    cause = f"{reason.value}:{version}"
    lasted = facts.cause_seconds.get(cause, 0.0)
    advice = _ADVICE.get(reason)
    message = f"{fault.message}; {advice}" if advice else fault.message
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
