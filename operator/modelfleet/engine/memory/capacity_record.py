"""Learned capacity of a model's replicas, as a value that the memory file can store.

It holds the service time and the concurrency within the objective. It is copied between the
`ledger` and `memory.learned_file`. Moments are monotonic in the ledger and on the wall clock in the
file. Must never be given to another model.
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
        """Seconds from the monotonic clock to the wall clock."""
        return self.wall - self.monotonic


@dataclass(frozen=True, slots=True)
class CapacityRecord:
    """Values of the fields with the same names of an `Entry`."""

    service_time: ServiceTime
    evidence: Evidence
    evidence_of: tuple[str, float | None] | None
    slots: int | None
    lone_latency_seconds: float | None


def as_head(entry: Entry, now: BothClocks) -> dict[str, Any]:
    """Return the learned capacity of an entry for the head of a block; its names never change."""
    service_time = entry.scaling.service_time
    return {
        "work": {
            "seconds": service_time.seconds,
            "answers": service_time.answers,
            "available": service_time.available,
        },
        "levels": as_table(entry.scaling.evidence, now.ahead),
        "levelsOf": entry.scaling.evidence_of,
        "slots": entry.scaling.slots,
        "floorSeconds": entry.answer.lone_latency_seconds,
    }


def of_head(head: Mapping[str, Any], now: BothClocks) -> CapacityRecord:
    """Return the value that `as_head` has stored; an older release has the service time alone.

    Raises ValueError for values that cannot be right.
    """
    slots, lone_latency = head.get("slots"), head.get("floorSeconds")
    if slots is not None and not (isinstance(slots, int) and 1 <= slots <= CONCURRENCY_LEVELS[-1]):
        msg = f"slots are {str(slots)[:20]}"
        raise ValueError(msg)
    if lone_latency is not None and not 0 < float(lone_latency) <= MAX_FLOOR_SECONDS:
        msg = f"a latency is {str(lone_latency)[:20]}"
        raise ValueError(msg)
    return CapacityRecord(
        ServiceTime(*(float(head["work"][name]) for name in ("seconds", "answers", "available"))),
        of_table(head.get("levels", {}), now.monotonic, now.ahead),
        _evidence_of(head.get("levelsOf")),
        slots,
        None if lone_latency is None else float(lone_latency),
    )


def _evidence_of(stored: Any) -> tuple[str, float | None] | None:
    if stored is None:
        return None
    version, limit = stored
    return str(version), None if limit is None else float(limit)


def give(entry: Entry, uid: str, record: CapacityRecord) -> None:
    """Store the record in the entry of the object `uid`, unless the entry has learned by now."""
    if entry.uid in {"", uid} and entry.scaling.service_time.answers <= 0:
        entry.uid, entry.scaling.service_time, entry.scaling.evidence = (
            uid,
            record.service_time,
            record.evidence,
        )
        entry.scaling.evidence_of, entry.scaling.slots = record.evidence_of, record.slots
        entry.answer.lone_latency_seconds = record.lone_latency_seconds
