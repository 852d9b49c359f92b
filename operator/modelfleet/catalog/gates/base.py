"""Protocol of a gate: a judgment of the candidate before it gets more weight.

`model.gating` asks every gate after the strategy's step. Must never see counts that are summed over
versions: an average over both hides a bad candidate.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from modelfleet.catalog.strategies import RolloutFacts


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judgment of a candidate, with its reason in words.

    `Inconclusive` is the verdict without enough evidence; no data is never a `Fail`.
    `look_again_seconds`: time after which the gate must be asked again.
    """

    kind: Literal["Pass", "Fail", "Inconclusive"]
    reason: str
    look_again_seconds: float | None = None


class Gate(Protocol):
    """Member of the catalogue."""

    name: str

    def judge(self, facts: RolloutFacts) -> Verdict | None:
        """Return the verdict on `facts.candidate`; None when the spec does not ask for this gate.

        Equal facts give an equal verdict.
        """
        ...
