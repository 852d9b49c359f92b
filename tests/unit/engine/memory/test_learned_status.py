"""Lessons go to the status of a version rarely, and come back to a new leader."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from structlog.testing import capture_logs

from modelfleet.api import names
from modelfleet.core.forecasting.quantiles.regression import Coefficients
from modelfleet.core.forecasting.rows.transfer import taken
from modelfleet.core.scaling.learned_concurrency import learned_slots
from modelfleet.engine.memory.learned_status import RECALLED_ANSWERS, LearnedStatus
from modelfleet.errors import Transient
from modelfleet.kube.store import Store
from tests.doubles.restarted_leader import DAY, KEY, PARAMS, World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Writer:
    """The API server's side of `note_policy`."""

    def __init__(self, versions: Store) -> None:
        self.versions, self.written, self.fails = versions, 0, False

    async def note_policy(self, key, learned) -> None:
        if self.fails:
            raise Transient("busy")
        self.written += 1
        old = self.versions.get(key.namespace, learned.name)
        meta = {**old["metadata"], "resourceVersion": str(100 + self.written)}
        self.versions.keep({**old, "metadata": meta, "status": {"learned": dict(learned.learned)}})


class Cluster:
    """A model that a leader has watched for three days, with its version."""

    def __init__(self, *, has_lived: bool = True) -> None:
        self.now, self.versions = NOW, Store()
        self.writer = Writer(self.versions)
        self.put(1)
        self.new_leader()
        if has_lived:
            self.world.learn_past()

    def put(self, number: int, learned: object = None) -> None:
        meta = {"namespace": KEY.namespace, "name": f"digits-v{number}", "uid": f"v{number}"}
        meta |= {"labels": {names.LABEL_MODEL: KEY.name}, "resourceVersion": "50"}
        status = {} if learned is None else {"learned": learned}
        self.versions.put({"metadata": meta, "spec": {"number": number}, "status": status})

    def new_leader(self) -> None:
        world = self.world = World(None, DAY, granted=20)
        world.forecaster.begin(DAY)
        model = world.models.get(*KEY)
        model["status"] = {"stable": "digits-v1"}
        model["spec"] = {"objective": {"latencyMilliseconds": 2000}}
        self.learned_status = LearnedStatus(
            world.models,
            self.versions,
            world.ledger,
            world.forecaster,
            self.writer,
            utc_now=lambda: self.now,
            monotonic=world.monotonic,
        )

    @property
    def learned(self) -> dict:
        return self.versions.get(KEY.namespace, "digits-v1")["status"]["learned"]


@pytest.mark.long
async def test_first_lesson_is_written_once_and_steady_traffic_writes_nothing():
    cluster = Cluster()
    assert await cluster.learned_status.look() == 1
    for _ in range(23):
        cluster.now += timedelta(hours=1)
        cluster.world.run(1)
        assert await cluster.learned_status.look() == 0
    fleet = cluster.world.forecaster.policy
    fleet.learn(0, fleet.fit_of(0)())
    assert await cluster.learned_status.look() == 0, "the same traffic, fitted again, is no news"


@pytest.mark.long
async def test_news_waits_for_six_hours():
    cluster = Cluster()
    await cluster.learned_status.look()
    fleet = cluster.world.forecaster.policy
    old = fleet._warm[0]
    fleet.learn(0, Coefficients(old.start + np.float32(0.3), old.keep))
    cluster.now += timedelta(hours=5, minutes=59)
    assert await cluster.learned_status.look() == 0
    cluster.now += timedelta(minutes=1)
    assert await cluster.learned_status.look() == 1
    assert cluster.learned["time"] == "2026-11-24T18:00:00+00:00"


async def test_chosen_candidate_alone_is_news_once_a_day_at_most():
    cluster = Cluster()
    await cluster.learned_status.look()
    cluster.world.forecaster.policy.choice.chosen[0] = 0
    cluster.learned["riskPerMillion"] = 2_000
    cluster.now += timedelta(hours=23)
    assert await cluster.learned_status.look() == 0
    cluster.now += timedelta(hours=1)
    assert await cluster.learned_status.look() == 1


async def test_new_leader_begins_with_what_the_status_says():
    cluster = Cluster()
    await cluster.learned_status.look()
    before = cluster.world.forecaster.policy
    cluster.new_leader()
    assert cluster.learned_status.recall() == 1
    world = cluster.world
    work = world.ledger.entry(KEY).scaling.service_time
    assert work.service_seconds == pytest.approx(1.0, rel=0.05)
    assert world.ledger.entry(KEY).scaling.service_time.answers == RECALLED_ANSWERS
    world.run(2)
    after = world.forecaster.policy
    assert np.allclose(after._coefficients[0], before._coefficients[0], rtol=1e-3, atol=1e-4)
    assert after.choice.chosen[0] == before.choice.chosen[0]
    assert world.forecaster.due_fits() == [], "no prior is computed for what is known"


def _learns_slots(world: World, slots: int | None) -> None:
    entry = world.ledger.entry(KEY)
    entry.last_turn = replace(
        entry.last_turn, params=replace(PARAMS, learns_slots=True), stable="digits-v1"
    )
    entry.scaling.evidence_of, entry.scaling.slots = ("digits-v1", 2.0), slots


async def test_learned_slots_come_back_with_the_status():
    cluster = Cluster()
    _learns_slots(cluster.world, 2)
    await cluster.learned_status.look()
    assert cluster.learned["slots"] == 2
    cluster.new_leader()
    cluster.learned_status.recall()
    entry = cluster.world.ledger.entry(KEY)
    assert (entry.scaling.slots, entry.scaling.evidence_of) == (2, ("digits-v1", 2.0))
    assert (
        learned_slots(entry.scaling.evidence, 4, 0.01, cluster.world.monotonic(), is_fixed=True)
        == 2
    )
    _learns_slots(cluster.world, entry.scaling.slots)
    cluster.world.run(2)
    assert entry.scaling.slots == 3, "half-way to what is not known to be in time"


async def test_slots_of_another_version_are_not_believed():
    cluster = Cluster(has_lived=False)
    cluster.put(2, {**(await _body()), "slots": 2})
    assert cluster.learned_status.recall() == 1
    assert cluster.world.ledger.entry(KEY).scaling.slots is None


async def test_slots_as_they_were_said_are_not_written():
    cluster = Cluster()
    _learns_slots(cluster.world, PARAMS.slots)
    await cluster.learned_status.look()
    assert "slots" not in cluster.learned


async def test_file_wins_over_the_status():
    cluster = Cluster()
    await cluster.learned_status.look()
    assert cluster.learned_status.recall() == 0


async def test_stable_version_is_believed_first_then_the_newest():
    cluster = Cluster(has_lived=False)
    body = {**(await _body()), "serviceMilliseconds": 500}
    cluster.put(3, {**body, "serviceMilliseconds": 300})
    cluster.put(2, {**body, "serviceMilliseconds": 200})
    cluster.learned_status.recall()
    work = cluster.world.ledger.entry(KEY).scaling.service_time
    assert work.service_seconds == pytest.approx(0.3)


async def _body() -> dict:
    cluster = Cluster()
    await cluster.learned_status.look()
    return cluster.learned


@pytest.mark.parametrize(
    "garbled",
    [{"coefficients": "AAAA"}, {"format": 9}, "text", {}, [1]],
    ids=["short", "format", "text", "empty", "list"],
)
async def test_foreign_edit_is_ignored_with_a_line(garbled):
    cluster = Cluster(has_lived=False)
    learned = {**(await _body()), **garbled} if isinstance(garbled, dict) and garbled else garbled
    cluster.versions.get(KEY.namespace, "digits-v1")["status"]["learned"] = learned
    with capture_logs() as lines:
        assert cluster.learned_status.recall() == 0
    assert [(one["event"], one["version"]) for one in lines] == [
        ("status.learned ignored", "digits-v1")
    ]
    cluster.world.learn_past()
    cluster.now += timedelta(days=1)
    assert await cluster.learned_status.look() == 1, "it is replaced by what is known"


@pytest.mark.parametrize("time", ["yesterday", "2026-11-24T11:00:00", None, 5])
async def test_time_that_is_none_does_not_hinder_the_next_write(time):
    cluster = Cluster()
    await cluster.learned_status.look()
    cluster.learned["time"] = time
    fleet = cluster.world.forecaster.policy
    fleet.learn(0, Coefficients(fleet._warm[0].start + np.float32(1), fleet._warm[0].keep))
    assert await cluster.learned_status.look() == 1


async def test_write_that_fails_is_tried_again():
    cluster = Cluster()
    cluster.writer.fails = True
    assert await cluster.learned_status.look() == 0
    cluster.writer.fails = False
    assert await cluster.learned_status.look() == 1


async def test_looks_go_round():
    cluster = Cluster()
    forecaster = cluster.world.forecaster
    keys = [KEY._replace(name=f"m{number:02d}") for number in range(45)]
    forecaster.known = lambda: keys
    looks = [cluster.learned_status._next() for _ in range(4)]
    assert [len(look) for look in looks] == [20, 20, 5, 20]
    assert [key for look in looks[:3] for key in look] == keys


async def test_backfilled_row_keeps_what_was_really_broken():
    cluster = Cluster()
    fleet, forecaster = cluster.world.forecaster.policy, cluster.world.forecaster
    fleet.choice.missed[:, 0] = 7
    assert forecaster.use_backfill(KEY, taken(fleet, [0]))
    assert (fleet.choice.missed[:, 0] == 7).all()
    block = taken(fleet, [0])
    block.steps = block.live.bins = fleet.steps + 1
    assert not forecaster.use_backfill(KEY, block), "a row of the future"
    assert forecaster.use_backfill(KEY._replace(name="other"), taken(fleet, [0])), (
        "before its traffic"
    )
    assert len(forecaster.known()) == 2


async def test_lesson_is_not_for_a_namesake():
    cluster = Cluster()
    await cluster.learned_status.look()
    cluster.new_leader()
    cluster.learned_status.recall()
    world = cluster.world
    world.models.remove({"metadata": {**world.models.get(*KEY)["metadata"]}})
    world.put("uid-2")
    world.ledger.forget(KEY)
    world.saw()
    world.run(2)
    assert world.forecaster.policy.choice.recalled[0] == -1
    assert len(world.forecaster.due_fits()) == 1, "it waits for its prior"


async def test_lesson_that_nobody_would_read_is_not_written():
    cluster = Cluster()
    fleet = cluster.world.forecaster.policy
    fleet.learn(0, Coefficients(fleet._warm[0].start * 1e6, fleet._warm[0].keep))
    assert await cluster.learned_status.look() == 0
