"""Memory of the leader for each model between turns. All of it may be lost.

An `Entry` has one part for each writer. `model.turn` writes the turn's memory and the values for
the scaling pass. `scaling.tick` writes the memory of the scaling pass and its answer. Losing an
entry is safe: a new leader reads grants from the status, and causes begin anew. Where this process
leads again later, only the learned capacity of replicas stays, as in the memory file.
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
    """The object that this was learned of; empty until a turn has read the object."""
    turn: TurnMemory = field(default_factory=TurnMemory)
    scaling: ScalingMemory = field(default_factory=ScalingMemory)
    last_turn: LastTurn | None = None
    answer: ScalingAnswer = field(default_factory=ScalingAnswer)
    is_inherited: bool = False
    """Whether replicas served already when this leader saw the model first."""

    def hand_over(self, last_turn: LastTurn) -> None:
        """Store what a turn saw; the next scaling pass works with these values."""
        if self.last_turn is None:
            self.is_inherited = last_turn.ready > 0
        self.last_turn = last_turn

    def carried(self) -> "Entry":
        """Return the entry with which this process would begin to lead again."""
        answer = ScalingAnswer(lone_latency_seconds=self.answer.lone_latency_seconds)
        return Entry(self.uid, scaling=self.scaling.carried(), answer=answer)


class Ledger:
    """Entries by key."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[Key, Entry] = {}

    def entry(self, key: Key) -> Entry:
        """Return the entry of a model; create it at the first use."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry()
        return entry

    def known(self, key: Key) -> Entry | None:
        """Return the entry of a model if there is one."""
        return self._entries.get(key)

    def forget(self, key: Key) -> None:
        """Remove the entry of a model that was deleted."""
        self._entries.pop(key, None)

    def end_term(self) -> None:
        """Drop all that only a leader can know of now; the Lease is not held any more."""
        self._entries = {key: entry.carried() for key, entry in self._entries.items()}

    def watched(self) -> dict[Key, Watched]:
        """Return what is to be read from Prometheus, by model."""
        return {
            key: Watched(last_turn.params.signals, last_turn.pods, last_turn.ready_pods)
            for key, entry in self._entries.items()
            if (last_turn := entry.last_turn) is not None and last_turn.params.signals
        }

    def items(self) -> list[tuple[Key, Entry]]:
        """Return all entries, sorted by key."""
        return sorted(self._entries.items(), key=lambda item: item[0])
