"""What was learned outlives the process; what is wrong with a file costs a line of the log."""

import asyncio
import errno
import json

import numpy as np
import pytest
from structlog.testing import capture_logs

from modelfleet.core.forecasting.constants import DAY_BINS
from modelfleet.core.scaling.learned_concurrency import Evidence, Level
from modelfleet.engine.loop.leader import lead
from modelfleet.engine.memory import file_format
from modelfleet.engine.memory.file_format import MemoryFileWriter, blocks
from modelfleet.engine.memory.learned_file import FILE_NAME, bins_of
from modelfleet.facts.scaling import CONCURRENCY_LEVELS
from tests.doubles.restarted_leader import BURST, DAY, KEY, PERIOD, World

BEGIN = DAY + 2 * PERIOD - 500
"""40 minutes before a busy time."""
END = DAY + 2 * PERIOD + BURST + 60


async def lived(folder, bins: int = 60) -> World:
    world = World(folder, BEGIN)
    await world.memory.restore()
    world.learn_past()
    world.run(bins)
    return world


async def restarted(world: World, gap: int = 24, **change: object) -> list[dict]:
    """Another process after `gap` bins; returns the lines of its log."""
    world.seconds += 5 * gap
    for name, value in change.items():
        setattr(world, name, value)
    world.begin()
    with capture_logs() as lines:
        await world.memory.restore()
    return lines


async def replicas_after_restart(folder, *, keeps: bool) -> np.ndarray:
    world = await lived(folder)
    assert await world.memory.save()
    if not keeps:
        (folder / FILE_NAME).unlink()
    await restarted(world)
    return np.array(world.run(END - world.clock))


@pytest.mark.long
async def test_restart_in_the_middle_of_a_season_changes_no_number_of_replicas(tmp_path):
    world = await lived(None)
    world.run(24)
    never = np.array(world.run(END - world.clock))
    kept = await replicas_after_restart(tmp_path, keeps=True)
    (tmp_path / FILE_NAME).unlink()
    lost = await replicas_after_restart(tmp_path, keeps=False)
    burst = slice(len(never) - BURST - 60 - 12, len(never) - 60)
    # Two minutes of arrivals were not seen: at most one replica or a tenth of them in between.
    allowed = np.maximum(1, 0.1 * never)
    assert (np.abs(kept - never) <= allowed).mean() > 0.98
    assert (np.abs(kept - never)[burst] <= allowed[burst]).all()
    assert (np.abs(lost - never) > allowed).mean() > 0.2, "the test can see a loss"


@pytest.mark.long
async def test_restored_leader_knows_the_service_time_and_counts_on(tmp_path):
    world = await lived(tmp_path)
    age = int(world.forecaster.policy.live.age[0])
    missing = world.clock + 24 - world.forecaster.policy.steps
    await world.memory.save()
    lines = await restarted(world)
    assert [(one["event"], one.get("models")) for one in lines] == [("memory restored", 1)]
    assert world.ledger.entry(KEY).scaling.service_time.service_seconds == pytest.approx(1.0)
    fleet = world.forecaster.policy
    assert int(fleet.live.age[0]) == age + missing
    assert fleet.steps == fleet.live.bins == world.clock
    assert world.forecaster.due_fits() == [], "the prior is known, no fit is due"


def broken_at(together: int, at: float) -> Evidence:
    levels = [Level()] * len(CONCURRENCY_LEVELS)
    levels[CONCURRENCY_LEVELS.index(together)] = Level(1000.0, 400.0, 3000.0, at)
    return Evidence(tuple(levels))


async def test_learned_slots_outlive_the_restart(tmp_path):
    world = await lived(tmp_path, bins=2)
    entry = world.ledger.entry(KEY)
    entry.scaling.evidence, entry.scaling.evidence_of = (
        broken_at(8, world.monotonic() - 60),
        ("digits-v1", 0.2),
    )
    entry.scaling.slots, entry.answer.lone_latency_seconds = 4, 0.3
    await world.memory.save()
    await restarted(world)
    entry = world.ledger.entry(KEY)
    learned = entry.scaling
    assert (learned.slots, learned.evidence_of) == (4, ("digits-v1", 0.2))
    assert entry.answer.lone_latency_seconds == 0.3
    level = learned.evidence.levels[CONCURRENCY_LEVELS.index(8)]
    assert (level.answers, level.slow) == (1000, 400)
    assert world.monotonic() - level.at == pytest.approx(60 + 5 * 24), "on the new clock"


async def test_file_of_a_release_without_slots_is_read(tmp_path):
    world = await lived(tmp_path, bins=2)
    await world.memory.save()
    _change_head(tmp_path / FILE_NAME, levels=None, levelsOf=None, slots=None, floorSeconds=None)
    await restarted(world)
    learned = world.ledger.entry(KEY).scaling
    assert (learned.slots, learned.evidence) == (None, Evidence())
    assert learned.service_time.answers > 0


@pytest.mark.parametrize(
    "change",
    [
        {"slots": 0},
        {"slots": "4"},
        {"floorSeconds": -1.0},
        {"levels": {"8": [1, 2, 3, 4]}},
        {"levels": [8]},
        {"levelsOf": 5},
    ],
)
async def test_slots_that_make_no_sense_cost_the_file(tmp_path, change):
    world = await lived(tmp_path, bins=2)
    await world.memory.save()
    _change_head(tmp_path / FILE_NAME, **change)
    lines = await restarted(world)
    assert [one["event"] for one in lines] == ["memory ignored"]
    assert "does not make sense" in lines[0]["why"]
    assert world.ledger.entry(KEY).scaling.service_time.answers == 0


def _change_head(path, **change):
    """Another head of the first model; None takes a field away."""
    block = next(blocks(path))
    head = json.loads(bytes(block["head"]))
    model = {**head["models"][0], **change}
    head["models"][0] = {name: value for name, value in model.items() if value is not None}
    _rewrite(path, {**block, "head": np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)})


async def test_model_of_the_same_name_inherits_nothing(tmp_path):
    world = await lived(tmp_path)
    await world.memory.save()
    world.models.remove({"metadata": {**world.models.get(*KEY)["metadata"]}})
    world.put("uid-2")
    await restarted(world)
    assert world.forecaster.known() == []
    assert world.ledger.entry(KEY).scaling.service_time.answers == 0


async def test_namesake_under_one_leader_inherits_nothing_either(tmp_path):
    world = await lived(tmp_path)
    world.models.remove({"metadata": {**world.models.get(*KEY)["metadata"]}})
    world.put("uid-2")
    world.saw()
    world.run(3)
    assert world.forecaster.policy.live.age[0] <= 3


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _foreign(path):
    path.write_bytes(b"something else")


def _other_tables(path):
    block = next(blocks(path))
    head = {**json.loads(bytes(block["head"])), "layout": "0123456789abcdef"}
    _rewrite(path, {**block, "head": np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)})


def _no_sense(path):
    _rewrite(path, {**next(blocks(path)), "head": np.frombuffer(b"[]", dtype=np.uint8)})


def _other_shape(path):
    block = next(blocks(path))
    _rewrite(path, {**block, "present._peaks": block["present._peaks"][:7]})


def _rewrite(path, block):
    writer = MemoryFileWriter(path)
    writer.write(block)
    writer.finish()


def _folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_cut, "damaged"),
        (_foreign, "not a memory file of modelfleet"),
        (_other_tables, "other tables"),
        (_no_sense, "does not make sense"),
        (_other_shape, "does not make sense"),
        (_folder, "directory"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_unusable_file_costs_a_line(tmp_path, damage, why):
    world = await lived(tmp_path, bins=2)
    await world.memory.save()
    damage(tmp_path / FILE_NAME)
    lines = await restarted(world)
    assert [one["event"] for one in lines] == ["memory ignored"]
    assert why in lines[0]["why"]
    assert world.forecaster.known() == []
    assert world.run(3), "scaling begins all the same"


@pytest.mark.parametrize(
    ("gap", "known", "why"),
    [
        (DAY_BINS - 10, 1, ""),
        (DAY_BINS + 10, 0, "24.0 h old"),
        (-10, 1, ""),
        (-720, 0, "1.0 h ahead of the clock"),
    ],
)
async def test_snapshot_of_another_time(tmp_path, gap, known, why):
    world = await lived(tmp_path, bins=2)
    await world.memory.save()
    lines = await restarted(world, gap)
    assert len(world.forecaster.known()) == known
    assert lines[0].get("why", "").endswith(why)
    assert world.forecaster.policy.steps >= world.clock


async def test_too_large_file_is_refused(tmp_path, monkeypatch):
    world = await lived(tmp_path, bins=2)
    await world.memory.save()
    monkeypatch.setattr(file_format, "MAX_BYTES", 1000)
    lines = await restarted(world)
    assert "more than" in lines[0]["why"]


async def test_full_disk_is_said_once_and_the_old_file_stays(tmp_path, monkeypatch):
    world = await lived(tmp_path, bins=2)
    await world.memory.save()
    before = (tmp_path / FILE_NAME).read_bytes()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, capture_logs() as lines:
        patched.setattr(file_format.os, "fsync", full)
        assert [await world.memory.save() for _ in range(3)] == [False] * 3
    assert [one["event"] for one in lines] == ["memory not saved"]
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]
    assert await world.memory.save()


async def test_missing_directory_is_no_error(tmp_path):
    world = World(tmp_path / "nowhere", BEGIN)
    with capture_logs() as lines:
        await world.memory.restore()
        world.run(3)
        assert not await world.memory.save()
    assert [one["event"] for one in lines] == ["no memory yet", "memory not saved"]


async def test_former_leader_and_one_that_has_not_begun_write_nothing(tmp_path):
    world = World(tmp_path, BEGIN)
    world.run(3)
    assert not await world.memory.save(), "it does not know yet what is in the file"
    await world.memory.restore()
    world.run(3)
    world.may_write = False
    assert not await world.memory.save()
    assert list(tmp_path.iterdir()) == []


class Workers:
    async def run(self) -> None:
        await asyncio.Event().wait()


async def test_orderly_stop_saves(tmp_path):
    world = World(tmp_path, BEGIN)
    leading = asyncio.ensure_future(lead(Workers(), world.ticker, 60.0, world.memory))
    async with asyncio.timeout(5):
        while world.forecaster.policy.steps != bins_of(world.seconds):
            await asyncio.to_thread(lambda: None)
    world.run(3)
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    lines = await restarted(world)
    assert lines[0]["models"] == 1
