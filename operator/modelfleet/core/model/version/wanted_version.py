"""The version that a spec asks for: an existing one, a new one, or first its artifact's digest.

`model.decide` puts the objects into the plan. Must never change or delete a version, or reuse a
version number.
"""

from dataclasses import dataclass, replace
from typing import Any

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.build.metadata import owned_by_model
from modelfleet.build.workload import resolve_pod
from modelfleet.core.model.validation import check_accelerator, config_references, runtime_of
from modelfleet.core.model.version.unchanged_version import unchanged_version
from modelfleet.core.model.version.version_body import version_body
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.errors import Refused
from modelfleet.facts.model import Fault, ModelFacts, ResolveFacts, VersionFacts
from modelfleet.facts.plan import Create, Delete

MAX_PAUSE_SECONDS = 3600.0
RESOLVE_PATIENCE_SECONDS = 60.0
"""Seconds from a failed attempt until a fresh pod; the kubelet's own back-off grows to minutes."""


@dataclass(frozen=True, slots=True)
class WantedVersion:
    """The version that the spec asks for, or the way to it.

    `version` exists, `create` is created now, and `obstacle` states why the version cannot be
    created yet. Without `is_resolving` at least one of them is set. `version` with `create`: the
    artifact changed before the first start, so a new version replaces this one.
    """

    version: VersionFacts | None = None
    create: tuple[Create, ...] = ()
    deletes: tuple[Delete, ...] = ()
    obstacle: tuple[Reason, Fault] | None = None
    is_resolving: bool = False
    look_again_seconds: float | None = None


def wanted_version_of(facts: ModelFacts, spec: MLModelSpec) -> WantedVersion:
    """Return the version that the spec asks for; raises Refused for a fault in the spec."""
    if spec.version is not None:
        return _pinned(facts, spec.version)
    runtime = runtime_of(spec)
    source = source_hash(spec)
    existing = [v for v in facts.versions if v.spec.source == source and not v.is_terminating]
    if existing:
        return _kept(facts, spec, source, max(existing, key=lambda v: v.number))
    unchanged = unchanged_version(facts, spec)
    if unchanged is not None:
        return _kept(facts, spec, source, unchanged)
    check_accelerator(spec, runtime)
    missing = [ref for ref in config_references(spec) if facts.config_maps.get(ref) is None]
    if missing:
        name, key = missing[0]
        text = f"runtime.env: ConfigMap '{name}' with key '{key}' must exist in this namespace"
        return WantedVersion(obstacle=(Reason.CONFIG_MAP_MISSING, Fault("ConfigMapMissing", text)))
    if spec.model.uri is None:
        return WantedVersion(create=(Create(_manifest(facts, spec, source, None)),))
    return _resolved(facts, spec, source)


def _pinned(facts: ModelFacts, name: str) -> WantedVersion:
    version = facts.version(name)
    if version is None:
        known = ", ".join(v.name for v in facts.versions) or "none yet"
        raise Refused(
            Reason.UNKNOWN_VERSION, f"version '{name}' must be an existing version: {known}"
        )
    return WantedVersion(version=version)


def _kept(
    facts: ModelFacts, spec: MLModelSpec, source: str, version: VersionFacts
) -> WantedVersion:
    """Return an existing version, and its successor if its artifact changed before its start."""
    if not _met_other_bytes(facts, spec, version):
        return WantedVersion(version=version, deletes=_leftover(facts))
    return replace(_resolved(facts, spec, source, version), version=version)


def _met_other_bytes(facts: ModelFacts, spec: MLModelSpec, version: VersionFacts) -> bool:
    """Return whether the artifact changed before the first start of a version.

    A file is often readable while it is still being uploaded. No replica of such a version was
    ever ready, so it never served a request, and the digest of the whole file makes a new version.
    A digest that the spec names, and a version that was ready once, are kept.
    """
    if spec.model.digest is not None or not _is_unstarted(facts, version):
        return False
    since = [
        pod.created_at
        for pod in version.alive
        if pod.fault is not None and pod.fault.reason == Reason.ARTIFACT_MISMATCH.value
    ]
    lasted = max(((facts.now - at).total_seconds() for at in since), default=-1.0)
    return lasted >= _pause_seconds(facts, version)


def _is_unstarted(facts: ModelFacts, version: VersionFacts) -> bool:
    """Return whether no replica of the version was ever ready, as far as is recorded.

    Without gateways no outcome is recorded, so after a first stable version nothing is certain.
    """
    was_ready = version.startup_seconds is not None or version.outcome is not None
    is_recorded = facts.gateways.is_used or facts.status.stable is None
    return is_recorded and not was_ready and version.name != facts.status.stable


def _pause_seconds(facts: ModelFacts, version: VersionFacts) -> float:
    """Return how long a mismatch must last before the digest is determined anew.

    Nothing for the first version of a spec, then a minute, doubled for each further one: a source
    whose bytes differ at each download must not make versions without end.
    """
    source = version.spec.source
    unstarted = [v for v in facts.versions if v.spec.source == source and _is_unstarted(facts, v)]
    if len(unstarted) <= 1:
        return 0.0
    return min(RESOLVE_PATIENCE_SECONDS * 2.0 ** (len(unstarted) - 2), MAX_PAUSE_SECONDS)


def _leftover(facts: ModelFacts) -> tuple[Delete, ...]:
    pod = facts.resolve
    if pod is None or pod.is_terminating:
        return ()
    return (Delete("Pod", pod.name, pod.uid, "its digest is in the version"),)


def _resolved(
    facts: ModelFacts, spec: MLModelSpec, source: str, former: VersionFacts | None = None
) -> WantedVersion:
    """Determine the digest with a one-shot pod; the kubelet starts it again when it fails.

    A version is created for it, unless `former` already has the same digest.
    """
    pod = facts.resolve
    if pod is None:
        return WantedVersion(create=(_resolve(facts, spec, source),), is_resolving=True)
    if pod.is_terminating:
        return WantedVersion(is_resolving=True)
    if pod.source != source:
        return WantedVersion(
            deletes=(Delete("Pod", pod.name, pod.uid, "the spec has changed"),),
            is_resolving=True,
        )
    artifact = former.spec.artifact if former is not None else None
    if pod.digest is not None and (artifact is None or pod.digest != artifact.digest):
        return WantedVersion(create=(Create(_manifest(facts, spec, source, pod.digest)),))
    if pod.digest is None and pod.fault is None:
        return WantedVersion(is_resolving=True)
    return _retried(facts, pod)


def _retried(facts: ModelFacts, pod: ResolveFacts) -> WantedVersion:
    """Wait, then delete the pod, so that a fresh one follows."""
    fault = pod.fault
    known = WantedVersion(
        obstacle=None if fault is None else (_reason_of(fault), fault), is_resolving=True
    )
    if pod.finished_at is None:
        return known
    waited = (facts.now - pod.finished_at).total_seconds()
    delay = RESOLVE_PATIENCE_SECONDS - waited
    if delay > 0:
        return replace(known, look_again_seconds=delay)
    gone = Delete("Pod", pod.name, pod.uid, "the next attempt follows")
    return replace(known, deletes=(gone,))


def _reason_of(fault: Fault) -> Reason:
    try:
        return Reason(fault.reason)
    except ValueError:
        return Reason.FETCH_FAILED


def _resolve(facts: ModelFacts, spec: MLModelSpec, source: str) -> Create:
    return Create(
        resolve_pod(
            facts.key,
            facts.uid,
            source,
            spec=spec,
            digest=spec.model.digest,
            defaults=facts.defaults,
        )
    )


def next_number(facts: ModelFacts) -> int:
    """Return a number above every version number that was ever used."""
    return 1 + max([facts.status.last_version or 0, *(v.number for v in facts.versions)])


def _manifest(
    facts: ModelFacts, spec: MLModelSpec, source: str, digest: str | None
) -> dict[str, Any]:
    number = next_number(facts)
    name = names.version_name(facts.key.name, number)
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.VERSION_KIND,
        "metadata": owned_by_model(facts.key, facts.uid, name, name),
        "spec": version_body(facts, spec, source, digest, number),
    }
