"""Backfill: gives models without memory their past arrivals, a few models at a time.

`loop.leader` runs it where there is a source of history such as Prometheus. The slow parts run in a
thread: reading for a few models at once, then a row for one of them. A source that does not answer,
or returns nonsense, costs a line in the log. Must never replace what the memory file brought.
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
"""Longest pause between two requests to a source that does not answer."""
MODELS_AT_ONCE = 8
"""Models of one reading; the last of them has its row a minute or two later."""
MIN_BINS = 10 * MINUTE_BINS
"""A past that is no longer than this is not worth the reading."""
MAX_BINS = 8 * DAY_BINS

log = structlog.get_logger()


class HistoryBackfill:
    """Fills the past of models into the forecaster."""

    def __init__(
        self,
        past: PastArrivals,
        forecaster: Forecaster,
        models: Objects,
        traces: Sequence[Floats],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`traces` are public ones, in bins; `clock` gives seconds of the wall clock."""
        self._past, self._forecaster, self._models = past, forecaster, models
        self._traces, self._clock = traces, clock
        self._textures: dict[int, Textures] = {}
        self._rest_seconds = LOOK_SECONDS
        self._is_silent = False

    async def run(self) -> None:
        """Look for models without history until cancelled."""
        while True:
            await asyncio.sleep(self._rest_seconds)
            try:
                await self.round()
            except Exception:
                # Without history the forecaster still learns from live traffic.
                log.exception("history broke")
                self._rest_seconds = LONGEST_REST_SECONDS

    async def round(self) -> int:
        """Read the past of the next few models and fill their rows; return how many were filled."""
        requests = self._requests()
        if not requests:
            return 0
        try:
            histories = await asyncio.to_thread(self._past.read, requests, self._clock())
        except HistoryUnavailable as error:
            if not self._is_silent:
                log.warning("history not read, asked again later", why=str(error))
            self._is_silent = True
            self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
            return 0
        self._is_silent, self._rest_seconds = False, LOOK_SECONDS
        filled = 0
        for request in requests:
            history = histories.get(request.key)
            filled += history is not None and await self._fill(request.key, history)
            self._forecaster.mark_history_checked(request.key)
        if filled < len(requests):
            log.info("no history", models=len(requests) - filled)
        return filled

    def _requests(self) -> list[HistoryRequest]:
        """Return requests for models that are older than the time that was watched of them.

        The other models have no past.
        """
        requests = []
        for key in self._forecaster.models_without_history():
            since = _created_at(self._models.get(key.namespace, key.name))
            unknown = self._forecaster.unknown_model(key)
            if since is None or unknown is None:
                continue
            watched = len(unknown.watched) + MIN_BINS
            if since.timestamp() > (unknown.clock - watched) * BIN_SECONDS:
                self._forecaster.mark_history_checked(key)
            else:
                requests.append(HistoryRequest(key, since.timestamp()))
            if len(requests) == MODELS_AT_ONCE:
                break
        return requests

    async def _fill(self, key: Key, history: History) -> bool:
        unknown = self._forecaster.unknown_model(key)
        if unknown is None:
            return False
        tuning = self._forecaster.policy.tuning

        def row() -> Policy:
            counts = self._counts(key, history, unknown)
            figures, prior = unknown.service, unknown.prior
            return recollect(
                counts, figures, prior, unknown.clock, tuning, recalled=unknown.recalled
            )

        block = await asyncio.to_thread(row)
        age_bins = int(block.live.age[0])
        # Meanwhile the model may be deleted, or replaced by another one of its name.
        newest = self._forecaster.unknown_model(key)
        is_filled = (
            age_bins > len(unknown.watched)
            and newest is not None
            and newest.uid == unknown.uid
            and self._forecaster.use_backfill(key, block)
        )
        if is_filled:
            days = round(age_bins / DAY_BINS, 2)
            log.info("history filled in", model=str(key), days=days)
        return is_filled

    def _counts(self, key: Key, history: History, unknown: UnknownModel) -> Floats:
        """Return arrivals by bin up to the bin of `unknown`.

        The older part is drawn from the steps of the source. The newer part is what the gateways
        counted.
        """
        shares = self._textures.get(history.step_bins)
        if shares is None:
            shares = self._textures[history.step_bins] = textures(self._traces, history.step_bins)
        coarse = drawn(history.requests, shares, seed=zlib.crc32(str(key).encode()))
        first = max(history.begin, unknown.clock - MAX_BINS)
        counts = np.full(max(0, unknown.clock - first), np.nan, dtype=np.float32)
        part = coarse[first - history.begin :][: len(counts)]
        counts[: len(part)] = part
        # The first bin also contains the arrivals from before the first answer: skip it.
        watched = unknown.watched[1:][-len(counts) :] if len(counts) else unknown.watched[:0]
        counts[len(counts) - len(watched) :] = watched
        return counts


def _created_at(model: dict[str, object] | None) -> datetime | None:
    meta = (model or {}).get("metadata")
    text = meta.get("creationTimestamp") if isinstance(meta, dict) else None
    return moment(text) if isinstance(text, str) else None
