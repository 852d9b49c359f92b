"""Objects of a model to create, to repair and to delete.

`model.decide` puts them into the plan. Must never change a Deployment's template: it is a
word-for-word copy of the version's frozen one.
"""

from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.build.workload import (
    deployment,
    disruption_budget,
    model_service,
    version_service,
)
from modelfleet.core.model.object_diff import edition, first_difference
from modelfleet.core.model.roles import Roles
from modelfleet.facts.model import ChildFacts, ModelFacts, PodFacts, VersionFacts
from modelfleet.facts.plan import Create, Delete, Repair

HUNG_SECONDS = 60.0
"""Time for which an idle replica may fail its readiness probe before it is replaced."""


def needed(
    facts: ModelFacts, spec: MLModelSpec, roles: Roles, targets: Mapping[str, int]
) -> tuple[tuple[Create, ...], tuple[Repair, ...]]:
    """Return objects to create (absent) and to repair (ours, and changed by another client)."""
    creates: list[Create] = []
    repairs: list[Repair] = []
    for version in (roles.stable, roles.candidate, *roles.others):
        if version is None or not version.is_buildable:
            continue
        _deployment(facts, version, targets.get(version.name, 0), creates, repairs)
        if version.deployment is not None or targets.get(version.name, 0) > 0:
            manifest = version_service(facts.key, facts.uid, version.name, version.spec)
            _object(facts, version.service, manifest, creates, repairs)
    if roles.serving is not None and facts.is_budget_known:
        _object(facts, facts.budget, disruption_budget(facts.key, facts.uid), creates, repairs)
    if facts.gateways.is_used and spec.traffic.service.create:
        _object(
            facts,
            facts.service,
            model_service(facts.key, facts.uid, facts.defaults),
            creates,
            repairs,
        )
    return tuple(creates), tuple(repairs)


def _deployment(
    facts: ModelFacts,
    version: VersionFacts,
    target: int,
    creates: list[Create],
    repairs: list[Repair],
) -> None:
    manifest = deployment(
        facts.key, facts.uid, version.name, version.template, version.spec.startup_seconds
    )
    if version.deployment is None and target > 0:
        # The POST carries the replicas: a Deployment without the field starts one pod.
        manifest["spec"]["replicas"] = target
    if version.deployment is not None or target > 0:
        _object(facts, version.deployment, manifest, creates, repairs)


def _object(
    facts: ModelFacts,
    child: ChildFacts | None,
    manifest: dict[str, Any],
    creates: list[Create],
    repairs: list[Repair],
) -> None:
    identity = f"{manifest['kind']}/{manifest['metadata']['name']}"
    if identity in facts.taken:
        return
    if child is None:
        creates.append(Create(manifest))
        return
    if child.is_terminating:
        return
    if facts.unmoved.get(identity) == edition(child.live):
        return
    changed_field = first_difference(manifest, child.live)
    if changed_field is not None:
        by = f" by {', '.join(child.editors)}" if child.editors else ""
        why = f"{identity}: {changed_field} was changed{by}"
        repairs.append(Repair(manifest, child.uid, why, edition(child.live)))


def surplus(facts: ModelFacts, roles: Roles, *, is_confirmed: bool) -> tuple[Delete, ...]:
    """Return the objects of retired versions and of deleted ones.

    Only for versions that the confirmed route does not name.
    """
    routed = (
        {share.version for share in facts.status.route.weights} if facts.status.route else set()
    )
    deletes: list[Delete] = []
    for version in roles.others:
        is_empty = version.replicas == 0 and not version.pods
        if is_empty and is_confirmed and version.name not in routed:
            deletes += _remains(version)
    if is_confirmed:
        deletes += [
            Delete(orphan.kind, orphan.name, orphan.uid, "its version is gone")
            for orphan in facts.orphans
            if orphan.name not in routed | {facts.status.stable, facts.status.candidate}
        ]
    return tuple(deletes)


def useless_pods(facts: ModelFacts, roles: Roles) -> tuple[Delete, ...]:
    """Return the pods that will never serve again: failed ones, and one that hangs.

    The newest failed pod of a version in use stays, because it says why. A hung pod is out of the
    gateways already; the next one goes when its replacement is ready.
    """
    deletes: list[Delete] = []
    for version in (roles.stable, roles.candidate, *roles.others):
        if version is None:
            continue
        is_retired = version.replicas == 0
        failed = version.failed if is_retired else version.failed[:-1]
        deletes += [Delete("Pod", pod.name, pod.uid, f"{pod.name} has failed") for pod in failed]
        hung = None if is_retired else _hung(facts, version)
        if hung is not None:
            why = f"{hung.name} started and then stopped answering its readiness probe"
            deletes.append(Delete("Pod", hung.name, hung.uid, why, "Replaced"))
    return tuple(deletes)


def _hung(facts: ModelFacts, version: VersionFacts) -> PodFacts | None:
    """Return the pod that has been unready for longest, once it is too long; None else."""
    unready = [pod for pod in version.alive if not pod.is_ready]
    is_ending = any(pod.is_terminating and not pod.is_failed for pod in version.pods)
    if is_ending or len(version.alive) < version.replicas:
        return None  # the last one ends, or its replacement is not there yet
    if not unready or any(not pod.has_started for pod in unready):
        return None  # a start is under way, perhaps of the last replacement
    pod = min(unready, key=lambda p: (p.unready_since or p.created_at, p.name))
    lasted = (facts.now - (pod.unready_since or pod.created_at)).total_seconds()
    return pod if lasted >= patience_with(facts, pod) else None


def patience_with(facts: ModelFacts, pod: PodFacts) -> float:
    """Return for how many seconds a pod that has started may be unready.

    A server that works on a long request may be too busy for its probe; requests end within the
    time-out.
    """
    is_busy = facts.gateways.is_used and pod.in_flight != 0
    timeout = facts.spec.traffic.request_timeout_seconds if facts.spec and is_busy else 0
    return HUNG_SECONDS + timeout


def _remains(version: VersionFacts) -> list[Delete]:
    deletes = []
    for kind, child in (("Deployment", version.deployment), ("Service", version.service)):
        if child is not None and not child.is_terminating:
            assert kind in {"Deployment", "Service"}  # noqa: S101 - narrows the literal
            deletes.append(Delete(kind, version.name, child.uid, f"{version.name} is retired"))  # type: ignore[arg-type] # mypy does not narrow literals by membership
    return deletes


def forgotten(facts: ModelFacts, roles: Roles, limit: int) -> tuple[Delete, ...]:
    """Return the versions beyond the history limit, oldest first.

    A version that serves, is in the route, is retained or is pinned by the spec is never among
    them.
    """
    needed_names = {v.name for v in (roles.stable, roles.candidate, *roles.others) if v is not None}
    needed_names |= {facts.status.retained or "", facts.status.stable or ""}
    if facts.status.route is not None:
        needed_names |= {share.version for share in facts.status.route.weights}
    if facts.spec is not None and facts.spec.version:
        needed_names.add(facts.spec.version)
    removable = sorted(
        (v for v in facts.versions if v.name not in needed_names and not v.is_terminating),
        key=lambda v: v.number,
    )
    room = max(0, limit - (len(facts.versions) - len(removable)))
    excess = removable[: max(0, len(removable) - room)]
    kind: Any = names.VERSION_KIND
    return tuple(Delete(kind, v.name, v.uid, "beyond rollout.historyLimit") for v in excess)
