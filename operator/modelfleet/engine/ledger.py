"""What the leader remembers of each model between turns. All of it may be lost.

Written by `model.turn` and `scaling.tick` only. What a new leader cannot read again (status,
objects, gateways) is safe to forget: grants come back from status, causes start anew.
"""

from collections import deque
from dataclasses import dataclass, field

from modelfleet.api.conditions import Reason
from modelfleet.core.scaling.learned_concurrency import Evidence
from modelfleet.core.scaling.service_time import ServiceTime
from modelfleet.errors import ModelfleetError, Refused
from modelfleet.facts.identity import Key
from modelfleet.facts.model import Fault
from modelfleet.facts.readings import Reading, Watched
from modelfleet.facts.scaling import Ask, Bucket, Grant, ScalingParams
from modelfleet.facts.traffic import AnswerTimes

KEPT_BUCKETS = 180
TAKEN_SECONDS = 30.0


@dataclass(slots=True)
class LastTurn:
    """What the last turn saw, for the tick."""

    params: ScalingParams
    granted: int
    ready: int
    starting: int
    startup_seconds: float
    follows: bool = True
    """Whether replicas follow the grant; else it is only a recommendation."""
    starting_at: tuple[float, ...] = ()
    """Monotonic times of creation of the pods that are starting."""
    pods: tuple[str, ...] = ()
    """Names of the pods of all versions."""
    ready_pods: tuple[str, ...] = ()
    """Those in service."""
    stable: str = ""
    """Name of the stable version."""


@dataclass(slots=True)
class Refusal:
    """An object that the API server did not take: since when, and its words."""

    since: float
    message: str
    is_final: bool


@dataclass(slots=True)
class Entry:
    """Memory of one model; times are monotonic seconds."""

    buckets: deque[Bucket] = field(default_factory=lambda: deque(maxlen=KEPT_BUCKETS))
    needs: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=KEPT_BUCKETS * 4)
    )
    work: ServiceTime = field(default_factory=ServiceTime)
    first_work: ServiceTime = field(default_factory=ServiceTime)
    """Of inherited replicas while this leader began: of use where nothing else is known."""
    answered: AnswerTimes = field(default_factory=AnswerTimes)
    """What the gateways remember of the time before this leader."""
    evidence: Evidence = field(default_factory=Evidence)
    evidence_of: tuple[str, float | None] | None = None
    """Whose answers are in it, and the limit in seconds that they were held against.

    None: what an earlier leader left is taken for that of the present version and objective.
    """
    slots: int | None = None
    """Requests that a replica can work on at once within the objective, where that was learned."""
    floor_seconds: float | None = None
    """Latency of a request that is alone, where even that breaks the promise."""
    overload: float | None = None
    """How many times what the replicas can answer comes, 1 where they can; None: not known yet."""
    seen: LastTurn | None = None
    is_inherited: bool = False
    """Whether replicas served already when this leader saw the model first."""
    is_as_before: bool = False
    """Whether its answers have been as quick again as before this leader."""
    ask: Ask | None = None
    grant: Grant | None = None
    causes: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    """What the last tick knew of the signals."""
    whole_since: float | None = None
    """Since when every signal has a current value."""
    uid: str = ""
    status_at: float = float("-inf")

    def look(self, seen: LastTurn) -> None:
        """What a turn saw."""
        if self.seen is None:
            self.is_inherited = seen.ready > 0
        self.seen = seen

    def learned(self) -> ServiceTime:
        """What a request costs a replica, as far as anything is known."""
        return self.work if self.work.answers > 0 else self.first_work.corrected(self.answered)

    def note_causes(self, present: frozenset[str], now: float) -> None:
        """Keep since when each cause is there; one that went away is forgotten."""
        self.causes = {cause: self.causes.get(cause, now) for cause in sorted(present)}

    def cause_seconds(self, now: float) -> dict[str, float]:
        """How long each cause has lasted."""
        return {cause: now - since for cause, since in self.causes.items()}

    def note_refusal(self, identity: str, error: ModelfleetError, now: float) -> None:
        """An object could not be made; the first time counts."""
        known = self.refused.get(identity)
        since = now if known is None else known.since
        self.refused[identity] = Refusal(since, str(error), isinstance(error, Refused))

    def keep_refusals(self, wanted: set[str]) -> None:
        """Forget those of objects that are not to be made any more."""
        self.refused = {name: one for name, one in self.refused.items() if name in wanted}

    def refusals(self, now: float, hopeless_seconds: float) -> dict[str, Fault]:
        """As faults; hopeless when the object itself is wrong, or after lasting too long."""
        return {
            identity: Fault(
                Reason.CREATE_REFUSED.value,
                f"{identity}: {one.message}"[:600],
                one.is_final or now - one.since >= hopeless_seconds,
            )
            for identity, one in sorted(self.refused.items())
        }

    def still_taken(self, now: float) -> frozenset[str]:
        """Names found taken a short while ago; after that they are tried again."""
        return frozenset(what for what, at in self.taken.items() if now - at < TAKEN_SECONDS)


class Ledger:
    """Entries by key."""

    def __init__(self) -> None:
        """Empty."""
        self._entries: dict[Key, Entry] = {}

    def entry(self, key: Key) -> Entry:
        """The entry of a model, made at the first use."""
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = Entry()
        return found

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
            if (seen := entry.seen) is not None and seen.params.signals
        }

    def items(self) -> list[tuple[Key, Entry]]:
        """All entries, sorted by key."""
        return sorted(self._entries.items(), key=lambda item: item[0])
