"""The learned status: a short summary in the status of versions, for a new leader without a file.

`loop.leader` reads it once when leading begins and writes it rarely. Anyone may write a value into
a status, so each value is checked. Must never write under steady traffic.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from modelfleet.core.forecasting.rows.learned_summary import LearnedSummary, is_moved, read_summary
from modelfleet.core.scaling.learned_concurrency import Evidence, evidence_from_slots
from modelfleet.core.scaling.service_time import ServiceTime
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.model.pods import moment
from modelfleet.engine.ports import Json, Objects, Writer
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.errors import ModelfleetError
from modelfleet.facts.identity import Key
from modelfleet.facts.plan import PolicyLearned

LOOK_SECONDS = 10.0
MODELS_AT_ONCE = 20
"""Models of one look. A thousand models take eight minutes, and their writes are spread over this
time."""
REST, DIAL_REST = timedelta(hours=6), timedelta(hours=24)
"""Pause between two writes of a version, and between two when only the chosen dial differs."""
RECALLED_ANSWERS = 10.0
"""A service time from a status counts as so many answers."""

log = structlog.get_logger()


class LearnedStatus:
    """Copies between the statuses of versions and the forecaster, in both directions."""

    def __init__(
        self,
        models: Objects,
        versions: Objects,
        ledger: Ledger,
        forecaster: Forecaster,
        writer: Writer,
        *,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`utc_now` gives the wall clock in UTC, `monotonic` the clock of the ledger."""
        self._models, self._versions = models, versions
        self._ledger, self._forecaster = ledger, forecaster
        self._writer, self._utc_now, self._monotonic = writer, utc_now, monotonic
        self._last: Key | None = None

    def recall(self) -> int:
        """Give the forecaster a summary of each model without a row; return how many it got."""
        with_row, count = set(self._forecaster.known()), 0
        for model in sorted(self._models.all(), key=_key):
            key = _key(model)
            summary = None if key in with_row else self._summary(model, logs_fault=True)
            if summary is not None:
                self._forecaster.set_learned_summary(key, model["metadata"]["uid"], summary)
                self._store(key, model, summary)
                count += 1
        return count

    def _store(self, key: Key, model: Json, summary: LearnedSummary) -> None:
        entry, uid = self._ledger.entry(key), model["metadata"]["uid"]
        if entry.uid not in {"", uid} or entry.scaling.service_time.answers > 0:
            return
        seconds = RECALLED_ANSWERS * summary.service_seconds
        entry.uid, entry.scaling.service_time = uid, ServiceTime(seconds, RECALLED_ANSWERS, seconds)
        stable = self._stable(model)
        own_summary = (
            None if stable is None else self._summary(model, logs_fault=False, version=stable)
        )
        if (
            stable is None
            or own_summary is None
            or own_summary.slots is None
            or entry.scaling.evidence != Evidence()
        ):
            # A summary of another version: its concurrency may differ.
            return
        entry.scaling.evidence_of = (stable["metadata"]["name"], _limit_seconds(model))
        entry.scaling.slots, entry.scaling.evidence = (
            own_summary.slots,
            evidence_from_slots(own_summary.slots, self._monotonic()),
        )

    def _slots(self, key: Key) -> int | None:
        """Return the learned concurrency; None while it equals the spec's or the default value."""
        entry = self._ledger.known(key)
        if entry is None or entry.last_turn is None or not entry.last_turn.params.learns_slots:
            return None
        return None if entry.scaling.slots == entry.last_turn.params.slots else entry.scaling.slots

    async def run(self) -> None:
        """Look at some models every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> int:
        """Write the summaries that changed of the next few models; return the number of writes."""
        written = 0
        for key in self._next():
            change = self._change(key)
            if change is None:
                continue
            try:
                await self._writer.note_policy(key, change)
            except ModelfleetError as error:
                # Nothing is lost: the next look at this model writes it.
                log.warning("learned status not written", model=str(key), error=str(error))
                continue
            log.info("learned status written", model=str(key), version=change.name)
            written += 1
        return written

    def _next(self) -> list[Key]:
        keys = self._forecaster.known()
        later = [key for key in keys if self._last is None or key > self._last][:MODELS_AT_ONCE]
        self._last = later[-1] if len(later) == MODELS_AT_ONCE else None
        return later

    def _change(self, key: Key) -> PolicyLearned | None:
        model = self._models.get(key.namespace, key.name)
        version = None if model is None else self._stable(model)
        if model is None or version is None or self._is_within(version, REST):
            return None
        learned = self._forecaster.learned_summary(key)
        if learned is None or not self._forecaster.is_of(key, model["metadata"]["uid"]):
            return None
        summary, features = replace(learned[0], slots=self._slots(key)), learned[1]
        written = self._summary(model, logs_fault=False, version=version)
        counts_dial = not self._is_within(version, DIAL_REST)
        if written is not None and not is_moved(
            written, summary, features, counts_dial=counts_dial
        ):
            return None
        written_at = self._utc_now().replace(microsecond=0).isoformat()
        meta = version["metadata"]
        return PolicyLearned(meta["name"], meta["uid"], {**summary.to_status(), "time": written_at})

    def _is_within(self, version: Json, rest: timedelta) -> bool:
        at = _written_at(version)
        return at is not None and abs(self._utc_now() - at) < rest

    def _stable(self, model: Json) -> Json | None:
        name = (model.get("status") or {}).get("stable")
        versions = self._versions.of_model(_key(model))
        return next((version for version in versions if version["metadata"]["name"] == name), None)

    def _summary(
        self, model: Json, *, logs_fault: bool, version: Json | None = None
    ) -> LearnedSummary | None:
        """Return the summary of a version; by default of the stable or the newest with one."""
        stable = (model.get("status") or {}).get("stable")
        versions = [version] if version is not None else self._versions.of_model(_key(model))
        for item in sorted(versions, key=lambda item: _rank(item, stable), reverse=True):
            body = (item.get("status") or {}).get("learned")
            if body is None:
                continue
            try:
                return read_summary(body)
            except (ValueError, TypeError, AttributeError) as error:
                if logs_fault:
                    name = item["metadata"]["name"]
                    log.warning("status.learned ignored", version=name, why=str(error)[:200])
        return None


def _key(model: Json) -> Key:
    return Key(model["metadata"]["namespace"], model["metadata"]["name"])


def _limit_seconds(model: Json) -> float | None:
    """Return the latency objective in seconds, as `model.turn` reads it."""
    objective = (model.get("spec") or {}).get("objective")
    return objective["latencyMilliseconds"] / 1000 if objective else None


def _rank(version: Json, stable: str | None) -> tuple[bool, int]:
    number = (version.get("spec") or {}).get("number")
    return version["metadata"]["name"] == stable, number if isinstance(number, int) else 0


def _written_at(version: Json) -> datetime | None:
    """Return when the summary was written; None where that is missing or not a time."""
    learned = (version.get("status") or {}).get("learned")
    text = learned.get("time") if isinstance(learned, dict) else None
    try:
        written_at = moment(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return written_at if written_at is None or written_at.tzinfo is not None else None
