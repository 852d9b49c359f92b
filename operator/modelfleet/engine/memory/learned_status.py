"""What was learned in short, in the status of versions: for a new leader that has no file.

Run by `loop.leader`: read once at the begin, written rarely. Values in a status can be anybody's,
so they are checked as such. Must never write under steady traffic.
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
LOOKED_AT = 20
"""Models a look: a thousand of them take eight minutes, and never come at once."""
REST, DIAL_REST = timedelta(hours=6), timedelta(hours=24)
"""Between two writes of a version, and between two when only the chosen candidate differs."""
RECALLED_ANSWERS = 10.0
"""A service time from a status counts as so many answers."""

log = structlog.get_logger()


class LearnedStatus:
    """Statuses of versions and the forecaster, in both directions."""

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
        """Teach the forecaster all models that it does not know; returns how many."""
        known, count = set(self._forecaster.known()), 0
        for model in sorted(self._models.all(), key=_key):
            key = _key(model)
            lesson = None if key in known else self._told(model, says_why=True)
            if lesson is not None:
                self._forecaster.teach(key, model["metadata"]["uid"], lesson)
                self._give(key, model, lesson)
                count += 1
        return count

    def _give(self, key: Key, model: Json, lesson: LearnedSummary) -> None:
        entry, uid = self._ledger.entry(key), model["metadata"]["uid"]
        if entry.uid not in {"", uid} or entry.scaling.work.answers > 0:
            return
        seconds = RECALLED_ANSWERS * lesson.service_seconds
        entry.uid, entry.scaling.work = uid, ServiceTime(seconds, RECALLED_ANSWERS, seconds)
        stable = self._stable(model)
        own = None if stable is None else self._told(model, says_why=False, version=stable)
        if (
            stable is None
            or own is None
            or own.slots is None
            or entry.scaling.evidence != Evidence()
        ):
            # Another version answers at another pace.
            return
        entry.scaling.evidence_of = (stable["metadata"]["name"], _limit_seconds(model))
        entry.scaling.slots, entry.scaling.evidence = (
            own.slots,
            evidence_from_slots(own.slots, self._monotonic()),
        )

    def _slots(self, key: Key) -> int | None:
        """What was learned, where it is not what the spec or the settings say."""
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
        """Write what is news of the next few models; returns the number of writes."""
        written = 0
        for key in self._next():
            news = self._news(key)
            if news is None:
                continue
            try:
                await self._writer.note_policy(key, news)
            except ModelfleetError as error:
                # It is no loss: the next round brings it again.
                log.warning("lesson not written", model=str(key), error=str(error))
                continue
            log.info("lesson written", model=str(key), version=news.name)
            written += 1
        return written

    def _next(self) -> list[Key]:
        keys = self._forecaster.known()
        later = [key for key in keys if self._last is None or key > self._last][:LOOKED_AT]
        self._last = later[-1] if len(later) == LOOKED_AT else None
        return later

    def _news(self, key: Key) -> PolicyLearned | None:
        model = self._models.get(key.namespace, key.name)
        version = None if model is None else self._stable(model)
        if model is None or version is None or self._is_within(version, REST):
            return None
        found = self._forecaster.lesson(key)
        if found is None or not self._forecaster.is_of(key, model["metadata"]["uid"]):
            return None
        new, x = replace(found[0], slots=self._slots(key)), found[1]
        old = self._told(model, says_why=False, version=version)
        counts_dial = not self._is_within(version, DIAL_REST)
        if old is not None and not is_moved(old, new, x, counts_dial=counts_dial):
            return None
        written_at = self._utc_now().replace(microsecond=0).isoformat()
        meta = version["metadata"]
        return PolicyLearned(meta["name"], meta["uid"], {**new.to_status(), "time": written_at})

    def _is_within(self, version: Json, rest: timedelta) -> bool:
        at = _written_at(version)
        return at is not None and abs(self._utc_now() - at) < rest

    def _stable(self, model: Json) -> Json | None:
        name = (model.get("status") or {}).get("stable")
        versions = self._versions.of_model(_key(model))
        return next((one for one in versions if one["metadata"]["name"] == name), None)

    def _told(
        self, model: Json, *, says_why: bool, version: Json | None = None
    ) -> LearnedSummary | None:
        """The lesson of a version; without one, of the stable or the newest that has any."""
        stable = (model.get("status") or {}).get("stable")
        found = [version] if version is not None else self._versions.of_model(_key(model))
        for one in sorted(found, key=lambda one: _rank(one, stable), reverse=True):
            body = (one.get("status") or {}).get("learned")
            if body is None:
                continue
            try:
                return read_summary(body)
            except (ValueError, TypeError, AttributeError) as error:
                if says_why:
                    name = one["metadata"]["name"]
                    log.warning("status.learned ignored", version=name, why=str(error)[:200])
        return None


def _key(model: Json) -> Key:
    return Key(model["metadata"]["namespace"], model["metadata"]["name"])


def _limit_seconds(model: Json) -> float | None:
    """The latency that is promised, as `model.turn` reads it."""
    objective = (model.get("spec") or {}).get("objective")
    return objective["latencyMilliseconds"] / 1000 if objective else None


def _rank(version: Json, stable: str | None) -> tuple[bool, int]:
    number = (version.get("spec") or {}).get("number")
    return version["metadata"]["name"] == stable, number if isinstance(number, int) else 0


def _written_at(version: Json) -> datetime | None:
    """When its lesson was written; None where that is not known or no moment."""
    learned = (version.get("status") or {}).get("learned")
    text = learned.get("time") if isinstance(learned, dict) else None
    try:
        found = moment(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else None
