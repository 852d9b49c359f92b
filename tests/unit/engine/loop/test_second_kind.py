"""A second kind of object beside MLModel, which exists only here: queue, workers, store, status."""

import asyncio
from typing import Any

from modelfleet.api import names
from modelfleet.api.base import ApiObject
from modelfleet.engine.loop.queue import KeyQueue
from modelfleet.engine.loop.worker import TurnResult, Workers
from modelfleet.facts.identity import Key
from modelfleet.kube.apply import Applier
from modelfleet.kube.resource import ResourceKind
from modelfleet.kube.store import Store, own_key

SETS = ResourceKind(names.API_VERSION, "MLModelSet", "mlmodelsets")


class SetStatus(ApiObject):
    """Status of the second kind."""

    models: int


class ApiServer:
    """Takes patches and answers with the whole object."""

    def __init__(self) -> None:
        self.patches: list[str] = []

    async def patch(self, path: str, body: dict[str, Any], *, kind: str) -> dict[str, Any]:
        self.patches.append(path)
        meta = {"namespace": "team-a", "name": "all", "uid": "u", "resourceVersion": "2"}
        return {"kind": kind, "metadata": meta, "spec": {"models": 3}, "status": body["status"]}


async def test_events_of_the_second_kind_become_turns_that_write_its_status():
    queue, client = KeyQueue(), ApiServer()
    store = Store(queue.wake, own_key)
    applier = Applier(client, {SETS.kind: store}, lambda: True)
    done = asyncio.Event()

    async def turn(key: Key) -> TurnResult:
        item = store.get(*key)
        moved = await applier.publish_status(item, SetStatus(models=item["spec"]["models"]), SETS)
        done.set()
        return TurnResult(len(moved), None)

    workers = asyncio.create_task(Workers(queue, turn, count=1).run())
    meta = {"namespace": "team-a", "name": "all", "uid": "u", "resourceVersion": "1"}
    store.put({"metadata": meta, "spec": {"models": 3}})
    await asyncio.wait_for(done.wait(), 5)
    workers.cancel()
    await asyncio.gather(workers, return_exceptions=True)
    assert client.patches == [
        "/apis/modelfleet.dev/v1alpha1/namespaces/team-a/mlmodelsets/all/status"
    ]
    assert store.get("team-a", "all")["status"] == {"models": 3}
    assert len(queue) == 0, "its own write wakes nobody"
