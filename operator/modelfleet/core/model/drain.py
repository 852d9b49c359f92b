"""Scale-down without a lost request.

In this order: a pod leaves its Service, every gateway acknowledges that, the pod finishes its
requests, and the Deployment's replicas shrink. Kubernetes chooses the pod that ends; the lowest
deletion cost points it to the drained one. If Kubernetes ends another pod, the drained one returns
to service.
"""

from dataclasses import dataclass

from modelfleet.core.model import next_route
from modelfleet.facts.model import ModelFacts, PodFacts, VersionFacts
from modelfleet.facts.plan import PodService, Scale


@dataclass(frozen=True, slots=True)
class Drain:
    """Changes of one version's pods and replicas now, and what the drain waits for."""

    pods: tuple[PodService, ...] = ()
    scale: Scale | None = None
    waits_for: str = ""
    version: str = ""
    """Name of the version."""

    @property
    def waits(self) -> str:
        """The version and what its drain waits for, in words."""
        return f"{self.version} keeps a replica until {self.waits_for}"


def next_drain(facts: ModelFacts, version: VersionFacts, target: int, *, may_leave: bool) -> Drain:
    """Return the next step that brings `version` to `target` replicas.

    `may_leave`: whether no gateway needs this version's pods any more.
    """
    deployment = version.deployment
    if deployment is None or deployment.is_terminating:
        return Drain()
    if target >= version.replicas:
        return _grow(version, target)
    if len(version.alive) > version.replicas:
        return Drain(waits_for="Kubernetes has ended the pods of the last step")
    if not may_leave:
        # A gateway may only be silent: pods that are out of service already stay out.
        return Drain(waits_for="every gateway has taken its weight away")
    leaving = _victims(version, version.replicas - target)
    pods = _labels(version, leaving)
    waits_for = _waits_for(facts, version, leaving, target)
    if pods or waits_for:
        return Drain(pods, None, waits_for or "its endpoint has left the gateways")
    return Drain((), _scale(version, target, f"{version.replicas} -> {target}, drained"))


def _grow(version: VersionFacts, target: int) -> Drain:
    """Return the step to more or as many replicas; pods that were leaving return to service."""
    if target == version.replicas:
        # Kubernetes may not have ended the pods of the last step yet. Until then a pod that
        # leaves looks like one that stays.
        is_settled = len(version.alive) <= target
        return Drain(_labels(version, ()) if is_settled else ())
    text = f"{version.replicas} -> {target}"
    return Drain(_labels(version, ()), _scale(version, target, text))


def _scale(version: VersionFacts, replicas: int, why: str) -> Scale:
    deployment = version.deployment
    assert deployment is not None  # noqa: S101 - narrowed by the caller
    return Scale(version.name, deployment.uid, deployment.resource_version, replicas, why)


def _victims(version: VersionFacts, count: int) -> tuple[PodFacts, ...]:
    """Return the pods that leave: out of service, then not ready, then least busy, newest."""
    not_created = version.replicas - len(version.alive)
    ranked = sorted(
        version.alive,
        key=lambda pod: (
            pod.is_in_service,
            pod.is_ready,
            pod.in_flight or 0,
            -pod.created_at.timestamp(),
            pod.name,
        ),
    )
    return tuple(ranked[: max(0, count - not_created)])


def _labels(version: VersionFacts, leaving: tuple[PodFacts, ...]) -> tuple[PodService, ...]:
    """Return the changes of service: pods that leave go out, and a pod that stays returns."""
    leaving_uids = {pod.uid for pod in leaving}
    return tuple(
        PodService(pod.name, pod.uid, in_service=pod.uid not in leaving_uids)
        for pod in version.alive
        if pod.is_in_service == (pod.uid in leaving_uids)
    )


def _longest_seconds(facts: ModelFacts, version: VersionFacts) -> int:
    """Return the longest time of a request: the route's time-out may exceed the version's."""
    timeout = facts.spec.traffic.request_timeout_seconds if facts.spec else 0
    return max(version.spec.shutdown_seconds, timeout)


def _waits_for(
    facts: ModelFacts, version: VersionFacts, leaving: tuple[PodFacts, ...], target: int
) -> str:
    for pod in leaving:
        sender = next_route.sender_to(facts, version.name, pod.endpoint)
        if sender is not None:
            return f"gateway {sender} has stopped sending to {pod.name}"
        if pod.in_flight == 0 or not facts.gateways.is_used:
            continue
        drained = (facts.now - pod.drained_at).total_seconds() if pod.drained_at else 0.0
        if drained < _longest_seconds(facts, version):
            return f"the last requests of {pod.name} have ended"
    is_last = target == 0 and facts.status.stable == version.name
    if is_last and facts.gateways.is_used and facts.gateways.held != 0:
        return "no request is on hold"
    return ""
