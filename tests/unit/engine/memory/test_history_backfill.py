"""The past of a model that nobody remembers comes from a source of history, in the background."""

import asyncio
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from structlog.testing import capture_logs

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, HOUR_BINS
from modelfleet.engine.memory.history_backfill import (
    LONGEST_REST_SECONDS,
    LOOK_SECONDS,
    MODELS_AT_ONCE,
    HistoryBackfill,
)
from modelfleet.facts.history import History, HistoryUnavailable
from tests.doubles.restarted_leader import DAY, KEY, PERIOD, World, arrivals

pytestmark = pytest.mark.long

STEP_BINS = 12
BEFORE = 100
CLOCK = DAY + 2 * PERIOD - BEFORE
"""Eight minutes before a busy time."""


class Past:
    """A source that knows all arrivals, by minutes."""

    def __init__(self, world: World, days: float = 3.0) -> None:
        self.world, self.days = world, days
        self.wishes: list = []
        self.threads: set[str] = set()
        self.fault: Exception | None = None
        self.change = lambda requests: requests

    def read(self, wishes, now_seconds):
        self.wishes.append(wishes)
        self.threads.add(threading.current_thread().name)
        if self.fault is not None:
            raise self.fault
        end = int(now_seconds // (STEP_BINS * BIN_SECONDS)) * STEP_BINS
        begin = end - int(self.days * DAY_BINS) // STEP_BINS * STEP_BINS
        if begin == end:
            return {}
        steps = arrivals(np.arange(begin, end)).reshape(-1, STEP_BINS).sum(axis=1)
        told = History(begin, STEP_BINS, self.change(steps.astype(np.float64)))
        return {wish.key: told for wish in wishes}


def created(world: World, days_ago: float, key=KEY) -> None:
    at = datetime.fromtimestamp(world.seconds - days_ago * 86_400, UTC)
    world.models.get(*key)["metadata"]["creationTimestamp"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Case:
    """A leader of a model of thirty days without any memory, and a source."""

    def __init__(self, *, days: float = 3.0, age_days: float = 30.0, bins: int = 3) -> None:
        self.world = World(None, CLOCK, granted=4)
        self.world.forecaster.begin(CLOCK)
        created(self.world, age_days)
        self.past = Past(self.world, days)
        self.backfill = HistoryBackfill(
            self.past,
            self.world.forecaster,
            self.world.models,
            traces=(),
            clock=lambda: self.world.seconds,
        )
        self.world.run(bins)
        self.study()

    def study(self) -> None:
        forecaster = self.world.forecaster
        for job in forecaster.due_fits():
            forecaster.use_fit(job, job.run())

    @property
    def age_bins(self) -> int:
        return int(self.world.forecaster.policy.live.age[0])


async def test_model_without_memory_gets_its_past_once():
    case = Case()
    assert await case.backfill.round() == 1
    assert abs(case.age_bins - 3 * DAY_BINS) < 40
    case.world.run(3)
    assert await case.backfill.round() == 0
    assert len(case.past.wishes) == 1
    assert "MainThread" not in case.past.threads


async def test_the_busy_time_of_earlier_days_is_expected():
    case, never = Case(), Case()
    await case.backfill.round()
    # Up to a minute before the busy time, which is one start-up ahead.
    case.world.run(BEFORE - 12)
    never.world.run(BEFORE - 12)
    with_past, without = (
        float(one.world.forecaster.policy.live.days[1][0]) for one in (case, never)
    )
    assert with_past > 50, "earlier days had 60 busy slots then"
    assert without == 0


async def test_bins_that_were_watched_stay_as_they_were():
    case = Case(bins=40)
    await case.backfill.round()
    counts = case.world.forecaster.policy.histories[0].counts()
    expected = arrivals(np.arange(case.world.clock - 40, case.world.clock))
    assert np.allclose(counts[-38:], expected[-38:], rtol=0.03)


async def test_holes_are_no_silence_and_no_burst():
    case = Case()

    def holed(requests):
        requests[1000:1030] = np.nan
        return requests

    case.past.change = holed
    await case.backfill.round()
    counts = case.world.forecaster.policy.histories[0].counts()
    hole = counts[1000 * STEP_BINS : 1030 * STEP_BINS]
    assert hole.min() > 0
    assert hole.max() < counts.max()


async def test_what_a_file_brought_is_not_touched():
    case = Case()
    case.world.forecaster._rows[KEY].needs_history = False
    assert await case.backfill.round() == 0
    assert case.past.wishes == []


async def test_new_model_is_not_asked_for():
    case = Case(age_days=0.001)
    assert await case.backfill.round() == 0
    assert case.past.wishes == []
    assert case.world.forecaster.models_without_history() == []


async def test_wish_says_since_when_the_model_exists():
    case = Case(age_days=2)
    began = case.world.seconds - 3 * BIN_SECONDS
    await case.backfill.round()
    assert case.past.wishes[0][0].since_seconds == pytest.approx(began - 2 * 86_400, abs=20)


async def test_source_that_is_away_is_said_once_and_asked_ever_less_often():
    case = Case()
    case.past.fault = HistoryUnavailable("no answer in time")
    with capture_logs() as lines:
        rests = []
        for _ in range(8):
            assert await case.backfill.round() == 0
            rests.append(case.backfill._rest_seconds)
    assert [one["event"] for one in lines] == ["history not read, asked again later"]
    assert rests[0] == 2 * LOOK_SECONDS
    assert rests[-1] == LONGEST_REST_SECONDS
    assert case.age_bins <= 3, "nothing was lost"
    case.past.fault = None
    assert await case.backfill.round() == 1
    assert case.backfill._rest_seconds == LOOK_SECONDS


async def test_source_that_knows_nothing_changes_nothing():
    case = Case(days=0)
    age = case.age_bins
    with capture_logs() as lines:
        assert await case.backfill.round() == 0
        assert await case.backfill.round() == 0
    assert case.age_bins == age
    assert [(one["event"], one["models"]) for one in lines] == [("no history", 1)]
    assert len(case.past.wishes) == 1


async def test_past_of_unknown_numbers_only_changes_nothing():
    case = Case()
    case.past.change = lambda requests: requests * np.nan
    age = case.age_bins
    assert await case.backfill.round() == 0
    assert case.age_bins == age


async def test_model_that_was_replaced_meanwhile_inherits_nothing():
    case = Case()
    real = case.past.read

    def slow(wishes, now):
        found = real(wishes, now)
        case.world.forecaster.forget([KEY])
        return found

    case.past.read = slow
    assert await case.backfill.round() == 0
    assert case.world.forecaster.known() == []


async def test_fit_that_was_under_way_does_not_undo_the_past():
    case = Case(bins=250)
    job = case.world.forecaster.due_fits()[0]
    await case.backfill.round()
    before = case.world.forecaster.policy._coefficients[0].copy()
    case.world.forecaster.use_fit(job, job.run())
    assert (case.world.forecaster.policy._coefficients[0] == before).all()


async def test_few_models_a_round():
    case = Case()
    forecaster = case.world.forecaster
    row = forecaster._rows.pop(KEY)
    for number in range(2 * MODELS_AT_ONCE):
        key = KEY._replace(name=f"m{number:02d}")
        meta = {"namespace": key.namespace, "name": key.name, "uid": "u", "resourceVersion": "1"}
        case.world.models.put({"metadata": meta})
        created(case.world, 30, key)
        forecaster._rows[key] = row
    case.past.fault = HistoryUnavailable("away")
    await case.backfill.round()
    assert [len(wishes) for wishes in case.past.wishes] == [MODELS_AT_ONCE]


async def test_nonsense_of_a_source_ends_nothing(monkeypatch):
    case = Case()
    case.past.fault = RuntimeError("broken")
    rests = []

    async def sleep(seconds):
        rests.append(seconds)
        if len(rests) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("modelfleet.engine.memory.history_backfill.asyncio.sleep", sleep)
    with capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        await case.backfill.run()
    assert rests == [LOOK_SECONDS, LONGEST_REST_SECONDS, LONGEST_REST_SECONDS]
    assert {one["event"] for one in lines} == {"history broke"}


def test_a_day_of_the_wait_is_remembered_over_a_restart():
    case = Case()
    asyncio.run(case.backfill.round())
    forecaster = case.world.forecaster
    assert list(forecaster._judged_at) == [KEY]
    due = forecaster._judged_at[KEY]
    block, rows = forecaster.export_rows([KEY])
    case.world.begin()
    case.world.forecaster.begin(block.steps, block, rows)
    assert case.world.forecaster._judged_at == {KEY: due}
    assert due - block.steps > DAY_BINS - HOUR_BINS
