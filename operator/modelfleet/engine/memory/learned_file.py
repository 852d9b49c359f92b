"""Keeps what the autoscaler has learned over restarts: a file, written while leading, read once.

Run by `loop.leader`. Arrays are copied in the loop a few models at a time; everything else is
done in threads. A file that cannot be used, or a disk that takes nothing, costs a line in the log
and nothing else. Must never give a model what was learned of another one, and never write for a
leader that is none any more.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, Tuning
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.rows.encoding import arrays_of, block_of, layout
from modelfleet.core.forecasting.rows.transfer import Arrays, carry_on, place, set_clock, taken
from modelfleet.engine.ledger import Entry, Ledger
from modelfleet.engine.memory.capacity_record import (
    BothClocks,
    CapacityRecord,
    as_head,
    give,
    of_head,
)
from modelfleet.engine.memory.file_format import MemoryFileWriter, Unusable, blocks, check_file
from modelfleet.engine.ports import Objects
from modelfleet.engine.scaling.forecaster import Forecaster, RecalledRow
from modelfleet.facts.identity import Key
from modelfleet.telemetry import metrics

FILE_NAME = "autoscaler.memory"
SAVE_SECONDS = 300.0
BLOCK_MODELS = 32
"""Copied at once in the loop: about 9 ms."""
LONGEST_GAP_BINS = DAY_BINS
"""A gap is filled from the day before, so a longer one would be made of what was made up."""
MAX_AHEAD_BINS = 12
"""Two clocks, or one that is set right, differ by a minute without meaning anything."""
BIGGEST_FLEET = 1 << 16

log = structlog.get_logger()


@dataclass(slots=True)
class FileContent:
    """What a file held of the models that exist."""

    fleet: Policy
    rows: list[RecalledRow] = field(default_factory=list)
    answers: dict[Key, CapacityRecord] = field(default_factory=dict)


class LearnedFile:
    """The file of one operator."""

    def __init__(
        self,
        folder: Path | None,
        ledger: Ledger,
        forecaster: Forecaster,
        *,
        models: Objects,
        may_write: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a `folder` nothing is kept, but bins are counted on the wall clock all the same.

        `models` are the objects that exist; `clock` gives seconds of the wall clock,
        `monotonic` those of the ledger.
        """
        self._path = None if folder is None else folder / FILE_NAME
        self._ledger, self._forecaster = ledger, forecaster
        self._models, self._may_write = models, may_write
        self._clock, self._monotonic = clock, monotonic
        self._has_begun = False
        self._has_failed = False
        self._saving = asyncio.Lock()

    def _uids(self) -> dict[Key, str]:
        metas = [one["metadata"] for one in self._models.all()]
        return {Key(meta["namespace"], meta["name"]): meta["uid"] for meta in metas}

    def _now(self) -> BothClocks:
        return BothClocks(self._monotonic(), self._clock())

    async def restore(self) -> int:
        """Begin where an earlier leader ended; returns the number of models known from it."""
        found = await self._found()
        begun = bins_of(self._clock())
        if found is None or not found.rows:
            self._forecaster.begin(begun)
            self._has_begun = True
            return 0
        begun = max(begun, found.fleet.steps)
        await asyncio.to_thread(carry_on, found.fleet, begun - found.fleet.steps)
        self._forecaster.begin(begun, found.fleet, found.rows)
        for row in found.rows:
            give(self._ledger.entry(row.key), row.uid, found.answers[row.key])
        self._has_begun = True
        return len(found.rows)

    async def _found(self) -> FileContent | None:
        tuning, now, path = self._forecaster.fleet.tuning, self._now(), self._path
        if path is None:
            return None
        try:
            found = await asyncio.to_thread(read_file, path, self._uids(), now, tuning)
        except FileNotFoundError:
            log.info("no memory yet", file=str(path))
        except (Unusable, OSError) as error:
            log.warning("memory ignored", file=str(path), why=str(error))
        except Exception:
            # Whatever is in a file, scaling begins: without it models are learned anew.
            log.exception("memory ignored", file=str(path))
        else:
            log.info("memory restored", file=str(path), models=len(found.rows))
            return found
        return None

    async def run(self) -> None:
        """Save every few minutes, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.save()

    async def save(self) -> bool:
        """Write the file; returns whether there is a new one. Never before `restore` has ended."""
        if self._path is None or not self._has_begun or not self._may_write():
            return False
        async with self._saving:
            writer = MemoryFileWriter(self._path)
            try:
                is_written = await self._write(writer)
            except OSError as error:
                self._failed(error)
                return False
            finally:
                writer.abandon()
        if is_written:
            metrics.MEMORY_SAVES.labels("saved").inc()
            self._has_failed = False
        return is_written

    async def _write(self, writer: MemoryFileWriter) -> bool:
        uids = self._uids()
        keys = [key for key in self._forecaster.known() if key in uids]
        count, tuning = 0, self._forecaster.fleet.tuning
        signature = await asyncio.to_thread(layout, tuning)
        for begin in range(0, len(keys), BLOCK_MODELS):
            left = self._forecaster.left(keys[begin : begin + BLOCK_MODELS])
            if left is None:
                continue
            block, rows = left
            head = json.dumps({"layout": signature, "models": self._heads(rows, uids)})
            await asyncio.to_thread(_write_block, writer, block, head)
            count += len(rows)
        if count and self._may_write():
            await asyncio.to_thread(writer.finish)
            return True
        return False

    def _heads(self, rows: list[RecalledRow], uids: Mapping[Key, str]) -> list[dict[str, Any]]:
        found, now = [], self._now()
        for one in rows:
            entry = self._ledger.known(one.key) or Entry()
            found.append(
                {
                    "namespace": one.key.namespace,
                    "name": one.key.name,
                    # A row whose model was replaced under its name belongs to nobody.
                    "uid": uids[one.key] if one.uid in {"", uids[one.key]} else "",
                    "needsPrior": one.needs_prior,
                    **as_head(entry, now),
                }
            )
        return found

    def _failed(self, error: OSError) -> None:
        metrics.MEMORY_SAVES.labels("failed").inc()
        if not self._has_failed:
            log.warning("memory not saved", file=str(self._path), why=str(error))
        self._has_failed = True


def bins_of(seconds: float) -> int:
    """The wall clock in bins: the count that all leaders share."""
    return int(seconds // BIN_SECONDS)


def _write_block(writer: MemoryFileWriter, block: Policy, head: str) -> None:
    text = np.frombuffer(head.encode(), dtype=np.uint8)
    writer.write({"head": text, **arrays_of(block)})


def read_file(path: Path, uids: Mapping[Key, str], now: BothClocks, tuning: Tuning) -> FileContent:
    """All rows of models that exist, carried on to the bin of `now`. For a thread: seconds of work.

    Raises Unusable, or FileNotFoundError.
    """
    check_file(path)
    signature = layout(tuning)
    found = FileContent(Policy(16, tuning))
    for arrays in blocks(path):
        _take(found, arrays, (uids, signature, now))
    gap = bins_of(now.wall) - found.fleet.steps
    if not found.rows:
        return found
    if not -MAX_AHEAD_BINS <= gap <= LONGEST_GAP_BINS:
        side = "old" if gap > 0 else "ahead of the clock"
        msg = f"it is {abs(gap) * BIN_SECONDS / 3600:.1f} h {side}"
        raise Unusable(msg)
    carry_on(found.fleet, gap)
    return found


def _take(
    found: FileContent, arrays: Arrays, known: tuple[Mapping[Key, str], str, BothClocks]
) -> None:
    """The rows of one block into the fleet; the later of the two is carried up to."""
    uids, signature, now = known
    try:
        head = json.loads(bytes(arrays["head"]))
        if head["layout"] != signature:
            raise Unusable("another release has written it with other tables")
        block = block_of(arrays, found.fleet.tuning)
        rows = [_row(number, one, now) for number, one in enumerate(head["models"])]
        if len(rows) != block.size:
            raise Unusable("its models and its rows do not match")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"a block does not make sense: {error!r}"
        raise Unusable(msg) from error
    wanted = [(row, more) for row, more in rows if row.uid and uids.get(row.key) == row.uid]
    if wanted:
        _put(found, taken(block, [row.number for row, _ in wanted]), wanted)


def _put(
    found: FileContent, block: Policy, wanted: list[tuple[RecalledRow, CapacityRecord]]
) -> None:
    fleet, used = found.fleet, len(found.rows)
    if not found.rows:
        set_clock(fleet, block.steps)
    elif abs(block.steps - fleet.steps) > LONGEST_GAP_BINS:
        raise Unusable("its blocks are of different days")
    while fleet.size < used + len(wanted):
        if fleet.size >= BIGGEST_FLEET:
            raise Unusable("it has more models than a fleet can have")
        fleet.grow(2 * fleet.size)
    carry_on(block, fleet.steps - block.steps)
    carry_on(fleet, block.steps - fleet.steps)
    numbers = list(range(used, used + len(wanted)))
    place(fleet, numbers, block)
    for number, (row, answers) in zip(numbers, wanted, strict=True):
        found.rows.append(RecalledRow(row.key, row.uid, number, row.needs_prior))
        found.answers[row.key] = answers


def _row(
    number: int, head: Mapping[str, Any], now: BothClocks
) -> tuple[RecalledRow, CapacityRecord]:
    key = Key(str(head["namespace"]), str(head["name"]))
    row = RecalledRow(key, str(head["uid"]), number, bool(head["needsPrior"]))
    return row, of_head(head, now)
