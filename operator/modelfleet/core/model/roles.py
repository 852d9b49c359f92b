"""Roles of a model's versions: stable, candidate, retired.

`model.decide` asks the rollout strategy for a step between the two. The stable version owns the
route; only a completed step replaces it.
"""

from dataclasses import dataclass

from modelfleet.facts.model import ModelFacts, VersionFacts


@dataclass(frozen=True, slots=True)
class Roles:
    """Versions by role; `others` are retired or superseded versions of which some object exists."""

    stable: VersionFacts | None
    candidate: VersionFacts | None
    others: tuple[VersionFacts, ...]

    @property
    def serving(self) -> VersionFacts | None:
        """The version that serves, or that will serve first."""
        return self.stable or self.candidate


def roles_of(facts: ModelFacts, desired: VersionFacts | None, *, is_paused: bool) -> Roles:
    """Return the roles of the versions.

    While paused, a candidate whose rollout has begun stays the candidate, and no new one begins.
    """
    stable = _stable(facts)
    if is_paused and stable is not None:
        begun = facts.version(facts.status.candidate)
        desired = begun if begun is not None else stable
    if desired is None and stable is not None:
        # The wanted version does not exist yet, so an unfinished rollout to an older one stops.
        desired = stable
    candidate = desired if desired is not None and desired is not stable else None
    others = tuple(
        v
        for v in sorted(facts.versions, key=lambda v: v.number)
        if v is not stable and v is not candidate and _has_remains(v)
    )
    return Roles(stable, candidate, others)


def _has_remains(version: VersionFacts) -> bool:
    return bool(version.deployment is not None or version.service is not None or version.pods)


def _stable(facts: ModelFacts) -> VersionFacts | None:
    """Return the stable version that the status names.

    If the status was lost: the newest version with outcome Stable, else the one with most ready
    pods.
    """
    stable = facts.version(facts.status.stable)
    if stable is not None:
        return stable
    recorded = [v for v in facts.versions if v.outcome == "Stable"]
    if recorded:
        return max(recorded, key=lambda v: v.number)
    if facts.status.observed_generation >= 0 and facts.status.stable is None:
        return None
    serving = [v for v in facts.versions if v.ready > 0]
    return max(serving, key=lambda v: (v.ready, -v.number), default=None)
