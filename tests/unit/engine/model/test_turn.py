"""A turn sees its own writes: it ends with a pass that wants no more, and wakes nobody."""

import pytest

from modelfleet.engine.model.turn import FIGHT_SECONDS
from modelfleet.facts.identity import Key
from tests.doubles.turned_cluster import KEY, Cluster, turner


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_first_turn_makes_everything_and_wakes_nobody(cluster):
    looks: list[Key] = []
    outcome = await turner(cluster, looks).turn(KEY)
    made = [words for words in cluster.written if words.startswith("create")]
    assert made == ["create MLModelVersion", "create Deployment", "create Service"]
    assert cluster.written.count("status") == 1
    assert outcome.writes == 4
    assert cluster.told == []
    assert len(looks) >= 3, "after its writes it has looked again"


async def test_second_turn_writes_nothing_and_looks_once(cluster):
    looks: list[Key] = []
    made = turner(cluster, looks)
    await made.turn(KEY)
    looks.clear()
    assert (await made.turn(KEY)).writes == 0
    assert looks == [KEY]


async def test_addition_that_an_apply_leaves_is_taken_back_as_a_whole(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    service = cluster.stores["Service"].get("team-a", "digits-v1")
    service["spec"]["selector"]["foreign"] = "hand"
    cluster.written.clear()
    await turns.turn(KEY)
    assert cluster.written == ["repair Service", "replace Service", "event Repaired"]
    assert "foreign" not in cluster.stores["Service"].get("team-a", "digits-v1")["spec"]["selector"]


async def test_edit_whose_repair_is_refused_is_left_and_the_rest_is_done(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    cluster.stores["Service"].get("team-a", "digits-v1")["spec"]["selector"] = {"foreign": "hand"}
    cluster.repairs_are_refused = True
    cluster.written.clear()
    await turns.turn(KEY)
    assert cluster.written == ["repair Service", "event ForeignEdit"]
    cluster.written.clear()
    assert (await turns.turn(KEY)).writes == 0


async def test_edit_that_each_repair_leaves_is_left_once_and_named(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    service = cluster.stores["Service"].get("team-a", "digits-v1")
    service["spec"]["selector"] = {"foreign": "hand"}
    cluster.repairs_stick = False
    cluster.written.clear()
    outcome = await turns.turn(KEY)
    assert cluster.written == ["repair Service", "replace Service", "event ForeignEdit"]
    assert outcome.look_again_seconds != FIGHT_SECONDS
    cluster.written.clear()
    assert (await turns.turn(KEY)).writes == 0
    # Another edit is another attempt.
    service["metadata"]["resourceVersion"] = "9999"
    await turns.turn(KEY)
    assert "repair Service" in cluster.written
