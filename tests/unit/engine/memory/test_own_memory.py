"""A process that leads again after a while goes on with what it had learned, and nothing else."""

import numpy as np
import pytest
from prometheus_client import REGISTRY

from modelfleet.core.forecasting.constants import DAY_BINS
from modelfleet.core.scaling.learned_concurrency import Evidence
from modelfleet.engine.scaling.decision_metrics import DecisionMetrics
from modelfleet.telemetry import metrics
from tests.doubles.restarted_leader import BURST, DAY, KEY, PERIOD, World

BEGIN = DAY + 2 * PERIOD - 500
"""40 minutes before a busy time."""
END = DAY + 2 * PERIOD + BURST + 60
GAP_BINS = 24


async def lived(folder=None, bins: int = 60) -> World:
    world = World(folder, BEGIN)
    await world.memory.restore()
    world.learn_past()
    world.run(bins)
    return world


async def leads_again(world: World, gap: int = GAP_BINS) -> int:
    """The Lease is lost and, after `gap` bins, taken again; returns the models that are known."""
    world.may_write = False
    assert not await world.memory.save(), "nothing is written without the Lease"
    world.ledger.end_term()
    world.seconds += 5 * gap
    world.may_write = True
    world.ticker.begin()
    known = await world.memory.restore()
    world.ticker.begin()
    world.saw()
    return known


async def test_memory_is_carried_over_without_any_file():
    world = await lived()
    entry = world.ledger.entry(KEY)
    service_time, age = entry.scaling.service_time, int(world.forecaster.policy.live.age[0])
    missing = world.clock + GAP_BINS - world.forecaster.policy.steps
    assert await leads_again(world) == 1
    fleet = world.forecaster.policy
    assert fleet.steps == fleet.live.bins == world.clock
    assert int(fleet.live.age[0]) == age + missing
    assert world.ledger.entry(KEY).scaling.service_time == service_time
    assert world.forecaster.due_fits() == [], "the prior is known"


async def test_what_only_a_leader_can_know_begins_anew():
    world = await lived(bins=4)
    entry = world.ledger.entry(KEY)
    entry.turn.causes["x"] = 1.0
    assert entry.scaling.buckets
    assert entry.answer.grant is not None
    await leads_again(world)
    entry = world.ledger.entry(KEY)
    assert (entry.turn.causes, list(entry.scaling.buckets)) == ({}, [])
    assert (entry.answer.grant, entry.answer.ask) == (None, None)
    assert world.ticker.silent_seconds() is None, "no gateway has reported yet"
    assert world.forecaster.forecast(KEY) is None


async def test_learned_concurrency_stays_with_its_object():
    world = await lived(bins=2)
    entry = world.ledger.entry(KEY)
    entry.scaling.slots, entry.scaling.evidence_of = 4, ("digits-v1", 0.2)
    entry.answer.lone_latency_seconds = 0.3
    await leads_again(world)
    entry = world.ledger.entry(KEY)
    assert (entry.uid, entry.scaling.slots) == ("uid-1", 4)
    assert (entry.scaling.evidence_of, entry.answer.lone_latency_seconds) == (
        ("digits-v1", 0.2),
        0.3,
    )


async def test_model_that_was_replaced_meanwhile_gives_nothing():
    world = await lived(bins=2)
    world.models.remove(world.models.get(*KEY))
    world.models.put(
        {
            "metadata": {
                "namespace": KEY.namespace,
                "name": KEY.name,
                "uid": "uid-2",
                "resourceVersion": "9",
            }
        }
    )
    assert await leads_again(world) == 0
    assert world.forecaster.known() == []


async def test_pause_of_more_than_a_day_begins_anew():
    world = await lived(bins=2)
    assert await leads_again(world, gap=DAY_BINS + 10) == 0
    assert world.forecaster.known() == []
    world.run(2)
    assert world.forecaster.policy.steps == world.clock - 1


async def test_model_whose_past_was_not_read_yet_is_still_to_be_read():
    world = World(None, BEGIN)
    await world.memory.restore()
    world.run(2)
    for job in world.forecaster.due_fits():
        world.forecaster.use_fit(job, job.run())
    assert world.forecaster.models_without_history() == [KEY]
    await leads_again(world)
    assert world.forecaster.models_without_history() == [KEY]
    assert world.ledger.entry(KEY).scaling.evidence == Evidence()


def shown() -> float | None:
    """The granted replicas as Prometheus reads them."""
    labels = {"namespace": KEY.namespace, "model": KEY.name, "state": "granted"}
    return REGISTRY.get_sample_value("modelfleet_scaling_replicas", labels)


async def test_standby_shows_no_decisions_and_the_next_term_does_again():
    world = await lived(bins=1)
    world.forecaster._metrics = DecisionMetrics()
    world.run(2)
    assert shown() == world.granted
    metrics.forget_models()
    assert shown() is None
    await leads_again(world)
    world.run(2)
    assert shown() == world.granted
    metrics.forget_models()


@pytest.mark.long
async def test_outage_in_a_season_changes_no_number_of_replicas(tmp_path):
    world = await lived()
    world.run(GAP_BINS)
    never = np.array(world.run(END - world.clock))
    world = await lived(tmp_path)
    await world.memory.save()
    await leads_again(world)
    began = world.seconds
    again = np.array(world.run(END - world.clock))
    allowed = np.maximum(1, 0.1 * never)
    assert (np.abs(again - never) <= allowed).mean() > 0.98
    world.seconds, world.granted = began, 2
    world.begin()
    await world.memory.restore()
    assert world.run(END - world.clock) == list(again), "as a new process with the file"
