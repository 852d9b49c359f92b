"""Gives models that nobody remembers their past, one after the other, in the background.

Run by `loop.leader` where there is a source of history such as Prometheus. What is slow is done
in a thread: reading for a few models at once, then a row for one of them. Must never replace what
a file brought, and a source that is away or tells nonsense costs a line in the log.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import structlog

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, MINUTE_BINS
from modelfleet.core.forecasting.features.upsample import Textures, drawn, textures
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.rows.backfill import recollect
from modelfleet.engine.model.pods import moment
from modelfleet.engine.ports import Objects, PastArrivals
from modelfleet.engine.scaling.forecaster import Forecaster, UnknownModel
from modelfleet.facts.history import History, HistoryRequest, HistoryUnavailable
from modelfleet.facts.identity import Key

LOOK_SECONDS = 30.0
LONGEST_REST_SECONDS = 600.0
"""Between two questions to a source that does not answer."""
ASKED_AT = 8
"""Models of one reading: the last of them is filled a minute or two later."""
MIN_BINS = 10 * MINUTE_BINS
"""A past that is no longer than this is not worth the reading."""
MAX_BINS = 8 * DAY_BINS

log = structlog.get_logger()


class HistoryBackfill:
    """The past of models for the forecaster."""

    def __init__(
        self,
        past: PastArrivals,
        forecaster: Forecaster,
        models: Objects,
        traces: Sequence[Floats],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`traces` are public ones, by bins; `clock` gives seconds of the wall clock."""
        self._past, self._forecaster, self._models = past, forecaster, models
        self._traces, self._clock = traces, clock
        self._textures: dict[int, Textures] = {}
        self._rest_seconds = LOOK_SECONDS
        self._is_silent = False

    async def run(self) -> None:
        """Look for strangers until cancelled."""
        while True:
            await asyncio.sleep(self._rest_seconds)
            try:
                await self.round()
            except Exception:
                # Models are learned from live traffic all the same.
                log.exception("history broke")
                self._rest_seconds = LONGEST_REST_SECONDS

    async def round(self) -> int:
        """Read the past of the next few strangers, and fill them in; returns how many were."""
        wishes = self._wishes()
        if not wishes:
            return 0
        try:
            told = await asyncio.to_thread(self._past.read, wishes, self._clock())
        except HistoryUnavailable as silence:
            if not self._is_silent:
                log.warning("history not read, asked again later", why=str(silence))
            self._is_silent = True
            self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
            return 0
        self._is_silent, self._rest_seconds = False, LOOK_SECONDS
        filled = 0
        for wish in wishes:
            one = told.get(wish.key)
            filled += one is not None and await self._fill(wish.key, one)
            self._forecaster.introduce(wish.key)
        if filled < len(wishes):
            log.info("no history", models=len(wishes) - filled)
        return filled

    def _wishes(self) -> list[HistoryRequest]:
        """Strangers that are older than what was watched of them; the others have no past."""
        found = []
        for key in self._forecaster.strangers():
            since = _created_at(self._models.get(key.namespace, key.name))
            stranger = self._forecaster.stranger(key)
            if since is None or stranger is None:
                continue
            watched = len(stranger.lived) + MIN_BINS
            if since.timestamp() > (stranger.clock - watched) * BIN_SECONDS:
                self._forecaster.introduce(key)
            else:
                found.append(HistoryRequest(key, since.timestamp()))
            if len(found) == ASKED_AT:
                break
        return found

    async def _fill(self, key: Key, told: History) -> bool:
        stranger = self._forecaster.stranger(key)
        if stranger is None:
            return False
        tuning = self._forecaster.fleet.tuning

        def row() -> Policy:
            counts = self._counts(key, told, stranger)
            service, prior = stranger.service, stranger.prior
            return recollect(
                counts, service, prior, stranger.clock, tuning, recalled=stranger.recalled
            )

        block = await asyncio.to_thread(row)
        known = int(block.present.age[0])
        # Meanwhile the model may be gone, or another one of its name.
        again = self._forecaster.stranger(key)
        is_filled = (
            known > len(stranger.lived)
            and again is not None
            and again.uid == stranger.uid
            and self._forecaster.fill(key, block)
        )
        if is_filled:
            days = round(known / DAY_BINS, 2)
            log.info("history filled in", model=str(key), days=days)
        return is_filled

    def _counts(self, key: Key, told: History, stranger: UnknownModel) -> Floats:
        """Arrivals by bin up to the stranger's bin: drawn from steps, then as they were watched."""
        shares = self._textures.get(told.step_bins)
        if shares is None:
            shares = self._textures[told.step_bins] = textures(self._traces, told.step_bins)
        coarse = drawn(told.requests, shares, seed=zlib.crc32(str(key).encode()))
        first = max(told.begin, stranger.clock - MAX_BINS)
        counts = np.full(max(0, stranger.clock - first), np.nan, dtype=np.float32)
        part = coarse[first - told.begin :][: len(counts)]
        counts[: len(part)] = part
        # What came before the first answer was put into the first bin.
        lived = stranger.lived[1:][-len(counts) :] if len(counts) else stranger.lived[:0]
        counts[len(counts) - len(lived) :] = lived
        return counts


def _created_at(model: dict[str, object] | None) -> datetime | None:
    meta = (model or {}).get("metadata")
    text = meta.get("creationTimestamp") if isinstance(meta, dict) else None
    return moment(text) if isinstance(text, str) else None
