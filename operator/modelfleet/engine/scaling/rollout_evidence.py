"""Evidence of a rollout, summed from samples: by version, from the candidate's first turn on.

`scaling.tick` calls it for models with a candidate; without one nothing is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from modelfleet.engine.handover import LastTurn
from modelfleet.facts.evidence import Evidences, VersionEvidence
from modelfleet.facts.traffic import ModelSample, VersionSample


def after(
    before: Evidences, of: tuple[str, str], last_turn: LastTurn, samples: Iterable[ModelSample]
) -> tuple[Evidences, tuple[str, str]]:
    """Return the evidence with these samples, and for which stable version and candidate it is.

    `of` names those that `before` is for: another pair begins anew. Without a candidate there is no
    evidence.
    """
    pair = (last_turn.stable, last_turn.candidate)
    if not last_turn.candidate:
        return {}, pair
    known: Mapping[str, VersionEvidence] = before if of == pair else {}
    by_version: dict[str, list[VersionSample]] = defaultdict(list)
    for sample in samples:
        for version, traffic in sample.versions.items():
            by_version[version].append(traffic)
    return {
        version: known.get(version, VersionEvidence()).plus(by_version[version])
        for version in pair
        if version and (version in known or version in by_version)
    }, pair
