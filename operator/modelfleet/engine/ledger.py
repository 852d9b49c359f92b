"""What the leader remembers of each model between turns. All of it may be lost.

An `Entry` has one part for each writer: `model.turn` writes its own memory and what it hands over
to the scaling pass; `scaling.tick` writes its own memory and its answer. What a new leader cannot
read again (status, objects, gateways) is safe to forget: grants come back from status, causes start
anew.
"""

from dataclasses import dataclass, field

from modelfleet.engine.handover import LastTurn, ScalingAnswer
from modelfleet.engine.scaling_memory import ScalingMemory
from modelfleet.engine.turn_memory import TurnMemory
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Watched


@dataclass(slots=True)
class Entry:
    """Memory of one model."""

    uid: str = ""
    """The object that this was learned of; empty before that is known."""
    turn: TurnMemory = field(default_factory=TurnMemory)
    scaling: ScalingMemory = field(default_factory=ScalingMemory)
    last_turn: LastTurn | None = None
    answer: ScalingAnswer = field(default_factory=ScalingAnswer)
    is_inherited: bool = False
    """Whether replicas served already when this leader saw the model first."""

    def hand_over(self, seen: LastTurn) -> None:
        """A turn has ended; the next scaling pass works with what it saw."""
        if self.last_turn is None:
            self.is_inherited = seen.ready > 0
        self.last_turn = seen


class Ledger:
    """Entries by key."""

    def __init__(self) -> None:
        """Empty."""
        self._entries: dict[Key, Entry] = {}

    def entry(self, key: Key) -> Entry:
        """The entry of a model, made at the first use."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry()
        return entry

    def known(self, key: Key) -> Entry | None:
        """The entry of a model if there is one."""
        return self._entries.get(key)

    def forget(self, key: Key) -> None:
        """The model is gone."""
        self._entries.pop(key, None)

    def watched(self) -> dict[Key, Watched]:
        """What is to be read from Prometheus, by model."""
        return {
            key: Watched(seen.params.signals, seen.pods, seen.ready_pods)
            for key, entry in self._entries.items()
            if (seen := entry.last_turn) is not None and seen.params.signals
        }

    def items(self) -> list[tuple[Key, Entry]]:
        """All entries, sorted by key."""
        return sorted(self._entries.items(), key=lambda item: item[0])
