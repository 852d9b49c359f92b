"""What answers have taught of a model's replicas, as a value that a file can hold.

Between the ledger and `memory.learned_file`: the time of a request, and how many at once are in
time. Moments are monotonic in the ledger and on the wall clock in the file. Must never be given to
another model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelfleet.core.scaling.learned_concurrency import Evidence, as_table, of_table
from modelfleet.core.scaling.service_time import ServiceTime
from modelfleet.engine.ledger import Entry
from modelfleet.facts.scaling import CONCURRENCY_LEVELS

MAX_FLOOR_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class BothClocks:
    """One moment on both clocks, in seconds."""

    monotonic: float
    wall: float

    @property
    def ahead(self) -> float:
        """From monotonic to wall."""
        return self.wall - self.monotonic


@dataclass(frozen=True, slots=True)
class CapacityRecord:
    """Fields of the same names of an `Entry`."""

    work: ServiceTime
    evidence: Evidence
    evidence_of: tuple[str, float | None] | None
    slots: int | None
    lone_latency_seconds: float | None


def as_head(entry: Entry, now: BothClocks) -> dict[str, Any]:
    """Of an entry, for the head of a block; its names never change."""
    work = entry.scaling.work
    return {
        "work": {
            "seconds": work.seconds,
            "answers": work.answers,
            "available": work.available,
        },
        "levels": as_table(entry.scaling.evidence, now.ahead),
        "levelsOf": entry.scaling.evidence_of,
        "slots": entry.scaling.slots,
        "floorSeconds": entry.answer.lone_latency_seconds,
    }


def of_head(head: Mapping[str, Any], now: BothClocks) -> CapacityRecord:
    """What `as_head` has given; of an older release the work alone. ValueError for nonsense."""
    slots, floor = head.get("slots"), head.get("floorSeconds")
    if slots is not None and not (isinstance(slots, int) and 1 <= slots <= CONCURRENCY_LEVELS[-1]):
        msg = f"slots are {str(slots)[:20]}"
        raise ValueError(msg)
    if floor is not None and not 0 < float(floor) <= MAX_FLOOR_SECONDS:
        msg = f"a latency is {str(floor)[:20]}"
        raise ValueError(msg)
    return CapacityRecord(
        ServiceTime(*(float(head["work"][name]) for name in ("seconds", "answers", "available"))),
        of_table(head.get("levels", {}), now.monotonic, now.ahead),
        _told_of(head.get("levelsOf")),
        slots,
        None if floor is None else float(floor),
    )


def _told_of(found: Any) -> tuple[str, float | None] | None:
    if found is None:
        return None
    version, limit = found
    return str(version), None if limit is None else float(limit)


def give(entry: Entry, uid: str, found: CapacityRecord) -> None:
    """To the entry of the object `uid`, unless it has learned more by now."""
    if entry.uid in {"", uid} and entry.scaling.work.answers <= 0:
        entry.uid, entry.scaling.work, entry.scaling.evidence = uid, found.work, found.evidence
        entry.scaling.evidence_of, entry.scaling.slots = found.evidence_of, found.slots
        entry.answer.lone_latency_seconds = found.lone_latency_seconds
