"""Any edit of any object of a model: turns come to rest, and the next spec goes through."""

import asyncio
import copy
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doubles.turned_cluster import KEY, Cluster, settled, turner

EDITS = int(os.environ.get("MODELFLEET_DRAWN_EDITS", "150"))
KINDS = ("Deployment", "Service", "PodDisruptionBudget", "MLModelVersion", "MLModel")
NAMES = {"MLModel": "digits", "PodDisruptionBudget": "digits-replicas"}
OWN = {"namespace", "name", "uid", "resourceVersion"}
"""Fields that the API server lets nobody change."""
EDIT = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "steps": st.lists(st.integers(0, 40), min_size=1, max_size=9),
        "how": st.sampled_from(["other", "empty", "delete", "add"]),
    }
)


def edited(item: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    """The object with one place changed, to a value of the same type, as its schema asks for.

    The steps choose the path, as far as there is one. Of a model only the status is changed, of a
    version everything but its immutable spec.
    """
    result = copy.deepcopy(item)
    parts = {"MLModel": ("status",), "MLModelVersion": ("metadata", "status")}
    tops = [part for part in parts.get(edit["kind"], ("metadata", "spec")) if result.get(part)]
    if not tops:
        return item
    holder, key = result, tops[edit["steps"][0] % len(tops)]
    for step in edit["steps"][1:]:
        place = holder[key]
        keys: list[Any] = list(range(len(place))) if isinstance(place, list) else []
        if isinstance(place, dict):
            keys = sorted(set(place) - (OWN if place is result["metadata"] else set()))
        if not keys:
            break
        holder, key = place, keys[step % len(keys)]
    if holder is result:
        return item
    if edit["how"] == "delete":
        del holder[key]
    else:
        holder[key] = changed(holder[key], edit["how"])
    return result


def changed(value: Any, how: str) -> Any:
    if isinstance(value, dict):
        return {} if how == "empty" else {**value, "added": "x"}
    if isinstance(value, list):
        return [] if how == "empty" else [*value, *value[:1]]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return 0 if how == "empty" else value + 7
    return "" if how == "empty" else f"{value}x"


async def played(edits: list[dict[str, Any]]) -> Cluster:
    cluster = Cluster()
    turns = turner(cluster, [])
    await settled(cluster, turns)
    for edit in edits:
        name = NAMES.get(edit["kind"], "digits-v1")
        item = cluster.stores[edit["kind"]].get("team-a", name)
        if item is not None:
            cluster.keep(edit["kind"], edited(item, edit))
        await settled(cluster, turns)
    return cluster


@settings(max_examples=EDITS, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EDIT, min_size=1, max_size=3))
def test_turns_come_to_rest_after_any_edit(edits):
    cluster = asyncio.run(played(edits))
    assert cluster.stores["MLModelVersion"].get("team-a", "digits-v1") is not None


@settings(max_examples=EDITS // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EDIT, min_size=1, max_size=2))
def test_the_next_spec_goes_through_after_any_edit(edits):
    async def rolled_out() -> Cluster:
        cluster = await played(edits)
        model = cluster.stores["MLModel"].get("team-a", "digits")
        meta = {**model["metadata"], "generation": 2}
        spec = {"runtime": {"name": "custom", "image": "server:2"}}
        cluster.keep("MLModel", {**model, "metadata": meta, "spec": spec})
        await settled(cluster, turner(cluster, []))
        return cluster

    cluster = asyncio.run(rolled_out())
    versions = cluster.stores["MLModelVersion"].all()
    newest = max(versions, key=lambda version: version["spec"]["number"])
    [server] = newest["spec"]["template"]["spec"]["containers"]
    assert server["image"] == "server:2"


def test_a_fight_would_be_seen():
    """A writer that takes back each repair: with turns that repaired again, this would not end."""

    async def fight() -> None:
        cluster = Cluster()
        turns = turner(cluster, [])
        await settled(cluster, turns)
        service = cluster.stores["Service"].get("team-a", "digits-v1")
        service["spec"]["selector"] = {"foreign": "hand"}
        cluster.repairs_stick = False
        for _ in range(8):
            service["metadata"]["resourceVersion"] = str(next(cluster.versions))
            cluster.written.clear()
            await turns.turn(KEY)
            assert "repair Service" in cluster.written

    asyncio.run(fight())
