"""Scale-down without a lost request: out of service, acknowledged, finished, then fewer replicas.

Called by `decide` for each version. Kubernetes chooses which pod goes; the lowest deletion cost
makes it ours, and if it takes another one, the drained pod returns to service.
"""

from dataclasses import dataclass

from modelfleet.core.model import next_route
from modelfleet.facts.model import ModelFacts, PodFacts, VersionFacts
from modelfleet.facts.plan import PodService, Scale


@dataclass(frozen=True, slots=True)
class Drain:
    """What to do with one version's pods and replicas now, and what is waited for."""

    pods: tuple[PodService, ...] = ()
    scale: Scale | None = None
    waits_for: str = ""


def next_drain(facts: ModelFacts, version: VersionFacts, target: int, *, may_leave: bool) -> Drain:
    """Bring `version` to `target` replicas. `may_leave`: its traffic may be taken away now."""
    deployment = version.deployment
    if deployment is None or deployment.is_terminating:
        return Drain()
    if target >= version.replicas:
        return _grow(version, target)
    if len(version.alive) > version.replicas:
        return Drain(waits_for="Kubernetes to end the pods of the last step")
    if not may_leave:
        # It may be that a gateway is only silent: pods that are out already stay out.
        return Drain(waits_for="the route to leave it")
    leaving = _victims(version, version.replicas - target)
    pods = _labels(version, leaving)
    waits = _waits_for(facts, version, leaving, target)
    if pods or waits:
        return Drain(pods, None, waits or "the endpoints to leave the gateways")
    return Drain((), _scale(version, target, f"{version.replicas} -> {target}, drained"))


def _grow(version: VersionFacts, target: int) -> Drain:
    """More replicas, or as many: whatever was taken out for leaving goes back into service."""
    if target == version.replicas:
        # Until Kubernetes has ended the pods of the last step, one that leaves looks like one
        # that stays.
        is_settled = len(version.alive) <= target
        return Drain(_labels(version, ()) if is_settled else ())
    text = f"{version.replicas} -> {target}"
    return Drain(_labels(version, ()), _scale(version, target, text))


def _scale(version: VersionFacts, replicas: int, why: str) -> Scale:
    child = version.deployment
    assert child is not None  # noqa: S101 - narrowed by the caller
    return Scale(version.name, child.uid, child.resource_version, replicas, why)


def _victims(version: VersionFacts, count: int) -> tuple[PodFacts, ...]:
    """The pods that leave: those that are out already, then not ready, then least busy, newest."""
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
    """Pods that leave go out of service; one that stays after all is put back."""
    out = {pod.uid for pod in leaving}
    return tuple(
        PodService(pod.name, pod.uid, in_service=pod.uid not in out)
        for pod in version.alive
        if pod.is_in_service == (pod.uid in out)
    )


def _longest_seconds(facts: ModelFacts, version: VersionFacts) -> int:
    """The longest that a request may take: the route's time-out may be above the version's."""
    timeout = facts.spec.traffic.request_timeout_seconds if facts.spec else 0
    return max(version.spec.shutdown_seconds, timeout)


def _waits_for(
    facts: ModelFacts, version: VersionFacts, leaving: tuple[PodFacts, ...], target: int
) -> str:
    for pod in leaving:
        if not next_route.is_gone(facts, version.name, pod.endpoint):
            return f"every gateway to stop sending to {pod.name}"
        if pod.in_flight == 0 or not facts.gateways.is_used:
            continue
        drained = (facts.now - pod.drained_at).total_seconds() if pod.drained_at else 0.0
        if drained < _longest_seconds(facts, version):
            return f"the last requests of {pod.name}"
    is_last = target == 0 and facts.status.stable == version.name
    if is_last and facts.gateways.is_used and facts.gateways.held != 0:
        return "no request on hold"
    return ""
