"""The memory file: keeps what the autoscaler has learned over restarts.

`loop.leader` reads it when leading begins first, and writes it while leading. Arrays are copied in
the event loop, a few models at a time. Everything else runs in threads. A file that cannot be used,
or a disk that takes nothing, costs a line in the log and nothing else. Must never give a model what
was learned of another one, and never write for an operator that has lost the Lease.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
from modelfleet.engine.scaling.forecaster import FIRST_ROWS, Forecaster, RecalledRow
from modelfleet.facts.identity import Key
from modelfleet.telemetry import metrics

FILE_NAME = "autoscaler.memory"
SAVE_SECONDS = 300.0
BLOCK_MODELS = 32
"""Models that are copied at once in the event loop: about 9 ms."""
LONGEST_GAP_BINS = DAY_BINS
"""A gap is filled from the day before. A longer gap would be filled from bins that were filled
themselves."""
MAX_AHEAD_BINS = 12
"""Two clocks, or one clock that was corrected, may differ by a minute without any fault."""
MAX_MODELS = 1 << 16

log = structlog.get_logger()


@dataclass(slots=True)
class FileContent:
    """Content of a memory file for the models that exist."""

    policy: Policy
    rows: list[RecalledRow] = field(default_factory=list)
    capacity: dict[Key, CapacityRecord] = field(default_factory=dict)


class LearnedFile:
    """The memory file of one operator."""

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
        """Without a `folder` nothing is stored; bins are counted on the wall clock in any case.

        `models` are the objects that exist. `clock` gives seconds of the wall clock, `monotonic`
        those of the ledger.
        """
        self._path = None if folder is None else folder / FILE_NAME
        self._ledger, self._forecaster = ledger, forecaster
        self._models, self._may_write = models, may_write
        self._clock, self._monotonic = clock, monotonic
        self._has_begun = False
        self._has_failed = False
        self._saving = asyncio.Lock()

    def _uids(self) -> dict[Key, str]:
        metas = [model["metadata"] for model in self._models.all()]
        return {Key(meta["namespace"], meta["name"]): meta["uid"] for meta in metas}

    def _now(self) -> BothClocks:
        return BothClocks(self._monotonic(), self._clock())

    async def restore(self) -> int:
        """Begin where an earlier leader ended; return the number of models that it knew.

        That was this process itself where it leads again: then its memory is newer than the file.
        """
        content = self._own_content() if self._has_begun else await self._read()
        first_bin = bins_of(self._clock())
        if content is None or not content.rows:
            self._forecaster.begin(first_bin, None if content is None else content.policy)
            self._has_begun = True
            return 0
        first_bin = max(first_bin, content.policy.steps)
        await asyncio.to_thread(carry_on, content.policy, first_bin - content.policy.steps)
        self._forecaster.begin(first_bin, content.policy, content.rows)
        for row in content.rows:
            record = content.capacity.get(row.key)
            if record is not None:
                give(self._ledger.entry(row.key), row.uid, record)
        self._has_begun = True
        return len(content.rows)

    def _own_content(self) -> FileContent:
        """Return copies of all rows of this process; its ledger has kept the capacity.

        A cancelled `restore` leaves the rows as they were.
        """
        uids, forecaster = self._uids(), self._forecaster
        empty = FileContent(Policy(FIRST_ROWS, forecaster.policy.tuning))
        keys = [
            key for key in forecaster.known() if key in uids and forecaster.is_of(key, uids[key])
        ]
        exported = forecaster.export_rows(keys)
        gap = bins_of(self._clock()) - forecaster.policy.steps
        if exported is None or gap > LONGEST_GAP_BINS:
            return empty
        block, rows = exported
        for row in rows:
            entry = self._ledger.entry(row.key)
            entry.uid = entry.uid or uids[row.key]
        log.info("memory carried over", models=len(rows), gap_seconds=gap * BIN_SECONDS)
        return FileContent(block, [replace(row, uid=uids[row.key]) for row in rows])

    async def _read(self) -> FileContent | None:
        tuning, now, path = self._forecaster.policy.tuning, self._now(), self._path
        if path is None:
            return None
        try:
            content = await asyncio.to_thread(read_file, path, self._uids(), now, tuning)
        except FileNotFoundError:
            log.info("no memory yet", file=str(path))
        except (Unusable, OSError) as error:
            log.warning("memory ignored", file=str(path), why=str(error))
        except Exception:
            # No content of a file may stop the scaling: without it, models are learned anew.
            log.exception("memory ignored", file=str(path))
        else:
            log.info("memory restored", file=str(path), models=len(content.rows))
            return content
        return None

    async def run(self) -> None:
        """Save every few minutes, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.save()

    async def save(self) -> bool:
        """Write the file; return whether it was written. Needs a finished `restore`."""
        if self._path is None or not self._has_begun or not self._may_write():
            return False
        async with self._saving:
            writer = MemoryFileWriter(self._path)
            try:
                is_written = await self._write(writer)
            except OSError as error:
                self._note_failure(error)
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
        count, tuning = 0, self._forecaster.policy.tuning
        signature = await asyncio.to_thread(layout, tuning)
        for begin in range(0, len(keys), BLOCK_MODELS):
            exported = self._forecaster.export_rows(keys[begin : begin + BLOCK_MODELS])
            if exported is None:
                continue
            block, rows = exported
            head = json.dumps({"layout": signature, "models": self._heads(rows, uids)})
            await asyncio.to_thread(_write_block, writer, block, head)
            count += len(rows)
        if count and self._may_write():
            await asyncio.to_thread(writer.finish)
            return True
        return False

    def _heads(self, rows: list[RecalledRow], uids: Mapping[Key, str]) -> list[dict[str, Any]]:
        heads, now = [], self._now()
        for row in rows:
            entry = self._ledger.known(row.key) or Entry()
            heads.append(
                {
                    "namespace": row.key.namespace,
                    "name": row.key.name,
                    # A row whose model was replaced under its name belongs to no model.
                    "uid": uids[row.key] if row.uid in {"", uids[row.key]} else "",
                    "needsPrior": row.needs_prior,
                    **as_head(entry, now),
                }
            )
        return heads

    def _note_failure(self, error: OSError) -> None:
        metrics.MEMORY_SAVES.labels("failed").inc()
        if not self._has_failed:
            log.warning("memory not saved", file=str(self._path), why=str(error))
        self._has_failed = True


def bins_of(seconds: float) -> int:
    """Return the wall clock in bins: the count that all leaders share."""
    return int(seconds // BIN_SECONDS)


def _write_block(writer: MemoryFileWriter, block: Policy, head: str) -> None:
    text = np.frombuffer(head.encode(), dtype=np.uint8)
    writer.write({"head": text, **arrays_of(block)})


def read_file(path: Path, uids: Mapping[Key, str], now: BothClocks, tuning: Tuning) -> FileContent:
    """Return all rows of models that exist, carried on to the bin of `now`.

    For a thread, because it takes seconds. Raises Unusable, or FileNotFoundError.
    """
    check_file(path)
    signature = layout(tuning)
    content = FileContent(Policy(16, tuning))
    for arrays in blocks(path):
        block, rows = _read_block(arrays, signature, now, tuning)
        existing = [(row, record) for row, record in rows if uids.get(row.key) == row.uid != ""]
        if existing:
            _put(content, taken(block, [row.number for row, _ in existing]), existing)
    gap = bins_of(now.wall) - content.policy.steps
    if not content.rows:
        return content
    if not -MAX_AHEAD_BINS <= gap <= LONGEST_GAP_BINS:
        side = "old" if gap > 0 else "ahead of the clock"
        msg = f"it is {abs(gap) * BIN_SECONDS / 3600:.1f} h {side}"
        raise Unusable(msg)
    carry_on(content.policy, gap)
    return content


def _read_block(
    arrays: Arrays, signature: str, now: BothClocks, tuning: Tuning
) -> tuple[Policy, list[tuple[RecalledRow, CapacityRecord]]]:
    """Return the rows of one block, and what the file knows of each.

    Raises Unusable.
    """
    try:
        head = json.loads(bytes(arrays["head"]))
        if head["layout"] != signature:
            raise Unusable("another release has written it with other tables")
        block = block_of(arrays, tuning)
        rows = [_row(number, row_head, now) for number, row_head in enumerate(head["models"])]
        if len(rows) != block.size:
            raise Unusable("its models and its rows do not match")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"a block does not make sense: {error!r}"
        raise Unusable(msg) from error
    return block, rows


def _put(
    content: FileContent, block: Policy, existing: list[tuple[RecalledRow, CapacityRecord]]
) -> None:
    """Add rows; the policy or the block that is behind is carried on."""
    policy, used = content.policy, len(content.rows)
    if not content.rows:
        set_clock(policy, block.steps)
    elif abs(block.steps - policy.steps) > LONGEST_GAP_BINS:
        raise Unusable("its blocks are of different days")
    while policy.size < used + len(existing):
        if policy.size >= MAX_MODELS:
            raise Unusable("it has more models than a fleet can have")
        policy.grow(2 * policy.size)
    carry_on(block, policy.steps - block.steps)
    carry_on(policy, block.steps - policy.steps)
    numbers = list(range(used, used + len(existing)))
    place(policy, numbers, block)
    for number, (row, record) in zip(numbers, existing, strict=True):
        content.rows.append(RecalledRow(row.key, row.uid, number, row.needs_prior))
        content.capacity[row.key] = record


def _row(
    number: int, head: Mapping[str, Any], now: BothClocks
) -> tuple[RecalledRow, CapacityRecord]:
    key = Key(str(head["namespace"]), str(head["name"]))
    row = RecalledRow(key, str(head["uid"]), number, bool(head["needsPrior"]))
    return row, of_head(head, now)
