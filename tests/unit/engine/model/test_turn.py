"""A turn sees its own writes: it ends with a pass that wants no more, and wakes nobody."""

import pytest

from modelfleet.engine.model.turn import FIGHT_SECONDS, MAX_PASSES
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


async def test_hopeless_fight_is_fought_slowly(cluster):
    made = turner(cluster, [])
    await made.turn(KEY)
    service = cluster.stores["Service"].get("team-a", "digits-v1")
    service["spec"]["selector"] = {"foreign": "hand"}
    cluster.repairs_stick = False
    cluster.written.clear()
    outcome = await made.turn(KEY)
    assert cluster.written.count("repair Service") <= MAX_PASSES
    assert outcome.look_again_seconds == FIGHT_SECONDS
