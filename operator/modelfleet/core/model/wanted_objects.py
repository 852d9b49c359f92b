"""Which objects must exist, must be mended, must go.

Called by `decide`. A Deployment's template comes from the version, word for word, for ever.
"""

from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.build.workload import deployment, model_service, version_service
from modelfleet.core.model.object_diff import first_difference
from modelfleet.core.model.roles import Roles
from modelfleet.facts.model import ChildFacts, ModelFacts, VersionFacts
from modelfleet.facts.plan import Create, Delete, Repair


def needed(
    facts: ModelFacts, spec: MLModelSpec, roles: Roles, targets: Mapping[str, int]
) -> tuple[tuple[Create, ...], tuple[Repair, ...]]:
    """Objects to create (not there) and to repair (there, ours, and changed by somebody)."""
    creates: list[Create] = []
    repairs: list[Repair] = []
    for version in (roles.stable, roles.candidate, *roles.others):
        if version is None:
            continue
        _deployment(facts, version, targets.get(version.name, 0), creates, repairs)
        if version.deployment is not None or targets.get(version.name, 0) > 0:
            manifest = version_service(facts.key, facts.uid, version.name, version.spec)
            _object(facts, version.service, manifest, creates, repairs)
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
        # Replicas are in the POST: without them one pod would start, even at zero.
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
    where = first_difference(manifest, child.live)
    if where is not None:
        by = f" by {', '.join(child.editors)}" if child.editors else ""
        repairs.append(Repair(manifest, child.uid, f"{identity}: {where} was changed{by}"))


def surplus(facts: ModelFacts, roles: Roles, *, is_confirmed: bool) -> tuple[Delete, ...]:
    """What no route names and nothing needs any more; the route without it is confirmed."""
    routed = (
        {share.version for share in facts.status.route.weights} if facts.status.route else set()
    )
    gone: list[Delete] = []
    for version in roles.others:
        is_empty = version.replicas == 0 and not version.pods
        if is_empty and is_confirmed and version.name not in routed:
            gone += _remains(version)
    if is_confirmed:
        gone += [
            Delete(one.kind, one.name, one.uid, "its version is gone")
            for one in facts.orphans
            if one.name not in routed | {facts.status.stable, facts.status.candidate}
        ]
    return tuple(gone)


def _remains(version: VersionFacts) -> list[Delete]:
    found = []
    for kind, child in (("Deployment", version.deployment), ("Service", version.service)):
        if child is not None and not child.is_terminating:
            assert kind in {"Deployment", "Service"}  # noqa: S101 - narrows the literal
            found.append(Delete(kind, version.name, child.uid, f"{version.name} is retired"))  # type: ignore[arg-type] # mypy does not narrow literals by membership
    return found


def forgotten(facts: ModelFacts, roles: Roles, limit: int) -> tuple[Delete, ...]:
    """Versions beyond the history limit, oldest first; never one that serves or is pinned."""
    kept = {v.name for v in (roles.stable, roles.candidate, *roles.others) if v is not None}
    kept |= {facts.status.retained or "", facts.status.stable or ""}
    if facts.status.route is not None:
        kept |= {share.version for share in facts.status.route.weights}
    if facts.spec is not None and facts.spec.version:
        kept.add(facts.spec.version)
    rest = sorted(
        (v for v in facts.versions if v.name not in kept and not v.is_terminating),
        key=lambda v: v.number,
    )
    room = max(0, limit - (len(facts.versions) - len(rest)))
    excess = rest[: max(0, len(rest) - room)]
    kind: Any = names.VERSION_KIND
    return tuple(Delete(kind, v.name, v.uid, "beyond rollout.historyLimit") for v in excess)
