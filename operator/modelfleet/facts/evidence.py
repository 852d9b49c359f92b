"""Evidence of a rollout: requests of each version, counted apart since the candidate appeared.

`scaling.rollout_evidence` sums the gateways' samples; strategies judge by the result. Counts of two
versions are never mixed, because an average over both hides a bad candidate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from modelfleet.facts.traffic import VersionSample


@dataclass(frozen=True, slots=True)
class VersionEvidence:
    """Requests of one version through all gateways, in sums."""

    arrivals: int = 0
    completions: Mapping[str, int] = field(default_factory=dict)
    """Answers by class: `2xx`, `3xx`, `4xx`, `5xx`, `reset`, `gone`."""
    failed_attempts: int = 0
    """Attempts at a replica that failed, also if a retry succeeded for the client."""
    service_seconds: float = 0.0
    latency: Mapping[int, int] = field(default_factory=dict)
    """Sparse histogram of service time: bucket index to count, see `facts.traffic`."""

    def plus(self, samples: Iterable[VersionSample]) -> Self:
        """Return the sums with these samples.

        Worked example: 3 answers `2xx`, then 1 `2xx` and 1 `5xx`: 4 `2xx` and 1 `5xx`.
        """
        arrivals, failed, seconds = self.arrivals, self.failed_attempts, self.service_seconds
        completions, latency = Counter(self.completions), Counter(self.latency)
        for sample in samples:
            arrivals += sample.arrivals
            failed += sample.failed_attempts
            seconds += sample.service_seconds
            completions.update(sample.completions)
            latency.update(sample.latency)
        return type(self)(arrivals, dict(completions), failed, seconds, dict(latency))


Evidences = Mapping[str, VersionEvidence]
"""By name of the version."""
