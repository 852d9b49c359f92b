"""Invariants of every plan: guard in production, oracle in tests, score in the simulator.

`engine.model.turn` calls `guard` between `model.decide` and the writes. A write that breaches is
dropped, logged and counted. A plan that breaches even without it is refused, with a condition. Each
check must cover everything that its name says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelfleet.core.model import next_route
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import Create, Plan, Repair

_NEVER_SET = (
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "shareProcessNamespace",
)
_SAFE_VOLUMES = frozenset(
    {"emptyDir", "secret", "configMap", "persistentVolumeClaim", "image", "projected", "csi"}
)


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that a plan would break, with a sentence for people."""

    name: str
    message: str
    name_of: str = ""
    """Name of the object that the breach concerns; empty for the whole plan."""


def guard(plan: Plan, facts: ModelFacts) -> list[Breach]:
    """Return all breaches of `plan`; empty for a plan that may be applied."""
    return [
        *_weights_sum(plan),
        *_no_weight_on_nothing(plan, facts),
        *_never_both(plan),
        *_no_delete_of_routed(plan, facts),
        *_drained_before_scale(plan, facts),
        *_no_unsafe_template(plan),
    ]


def without_breaches(plan: Plan, breaches: Sequence[Breach]) -> Plan:
    """Return the plan without the writes that breach an invariant; the rest may be right.

    A plan that was refused as a whole would keep a model from healing, and its next rollout from
    ever starting.
    """
    repaired = {breach.name_of for breach in breaches if breach.name == "TemplateAndScale"}
    scaled = {breach.name_of for breach in breaches if breach.name == "ScaleBeforeDrain"}
    deleted = {breach.name_of for breach in breaches if breach.name == "DeleteOfRouted"}
    unsafe = {breach.name_of for breach in breaches if breach.name == "UnsafeTemplate"}
    return replace(
        plan,
        creates=tuple(c for c in plan.creates if _name_of(c, "Deployment") not in unsafe),
        repairs=tuple(
            r
            for r in plan.repairs
            if r.manifest["metadata"]["name"] not in repaired
            and _name_of(r, "Deployment") not in unsafe
        ),
        scales=tuple(scale for scale in plan.scales if scale.name not in scaled),
        deletes=tuple(d for d in plan.deletes if d.kind == "Pod" or d.name not in deleted),
    )


def _name_of(write: Create | Repair, kind: str) -> str | None:
    """Return the name of the written object; None for another kind."""
    manifest = write.manifest
    name: str = manifest["metadata"]["name"]
    return name if manifest["kind"] == kind else None


def _no_unsafe_template(plan: Plan) -> list[Breach]:
    """Check that no pod gets rights that a version of ours never has, whoever wrote the version."""
    breaches = []
    writes: tuple[Create | Repair, ...] = (*plan.creates, *plan.repairs)
    for write in writes:
        name = _name_of(write, "Deployment")
        pod = write.manifest.get("spec", {}).get("template", {}).get("spec", {}) if name else {}
        excess = unsafe_part(pod)
        if name and excess:
            breaches.append(Breach("UnsafeTemplate", f"the pods of {name} have {excess}", name))
    return breaches


def unsafe_part(pod: Mapping[str, Any]) -> str:
    """Return the first right of a pod that no built template has; empty when there is none."""
    return next(_excess(pod), "")


def _excess(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rights of a pod that no built template has."""
    yield from (field for field in _NEVER_SET if pod.get(field))
    if (pod.get("securityContext") or {}).get("runAsUser") == 0:
        yield "user 0"
    for volume in pod.get("volumes") or []:
        for kind in sorted(set(volume) - {"name"} - _SAFE_VOLUMES):
            yield f"a volume of kind {kind}"
        sources = (volume.get("projected") or {}).get("sources") or []
        if any("serviceAccountToken" in source for source in sources):
            yield "a token of the service account"
    for container in (*(pod.get("containers") or []), *(pod.get("initContainers") or [])):
        for right in _excess_of_container(container):
            yield f"{right} in container {container.get('name')}"


def _excess_of_container(container: Mapping[str, Any]) -> Iterator[str]:
    rights = container.get("securityContext") or {}
    if rights.get("privileged") or rights.get("allowPrivilegeEscalation"):
        yield "privileges"
    if rights.get("runAsUser") == 0 or rights.get("procMount") == "Unmasked":
        yield "rights of the node"
    if (rights.get("capabilities") or {}).get("add"):
        yield "added capabilities"
    if any("hostPort" in port for port in container.get("ports") or []):
        yield "a host port"


def _weights_sum(plan: Plan) -> list[Breach]:
    if plan.status.route is None:
        return []
    total = sum(share.weight for share in plan.status.route.weights)
    return [] if total == 100 else [Breach("WeightsSum", f"weights sum to {total}")]  # noqa: PLR2004 - percent


def _no_weight_on_nothing(plan: Plan, facts: ModelFacts) -> list[Breach]:
    """Check that weight grows only on versions in effect, once a version has served."""
    if plan.status.route is None or facts.status.stable is None:
        return []
    breaches = []
    before = next_route.present(facts)
    for share in plan.status.route.weights:
        gained = share.weight - (before.weight_of(share.version) if before else 0)
        version = facts.version(share.version)
        if gained <= 0 or share.version == facts.status.stable:
            continue
        if version is None or next_route.in_effect(facts, version) == 0:
            text = f"{share.version} would gain {gained} % with no replica in effect"
            breaches.append(Breach("WeightOnNothing", text))
    return breaches


def _never_both(plan: Plan) -> list[Breach]:
    """Check that no turn writes both a template and zero replicas of one version."""
    templated = {r.manifest["metadata"]["name"] for r in plan.repairs}
    both = sorted(s.name for s in plan.scales if s.name in templated and s.replicas == 0)
    return [
        Breach("TemplateAndScale", f"{name} would be repaired and emptied", name) for name in both
    ]


def _no_delete_of_routed(plan: Plan, facts: ModelFacts) -> list[Breach]:
    before = next_route.present(facts)
    routed = set(before.versions) if before else set()
    named = {facts.status.stable, facts.status.candidate} | routed
    return [
        Breach("DeleteOfRouted", f"{d.kind} {d.name} is in the route", d.name)
        for d in plan.deletes
        if d.kind != "Pod" and d.name in named
    ]


def _drained_before_scale(plan: Plan, facts: ModelFacts) -> list[Breach]:
    """Check that replicas shrink only by pods to which no gateway sends."""
    if not facts.gateways.is_used:
        return []
    breaches = []
    for scale in plan.scales:
        version = facts.version(scale.name)
        if version is None or scale.replicas >= version.replicas:
            continue
        reachable = sum(
            not next_route.is_gone(facts, version.name, pod.endpoint) for pod in version.alive
        )
        if reachable > scale.replicas:
            text = f"{scale.name} to {scale.replicas} while gateways use {reachable} of its pods"
            breaches.append(Breach("ScaleBeforeDrain", text, scale.name))
    return breaches
