"""A turn sees its own writes: it ends with a pass that wants no more, and wakes nobody."""

from datetime import UTC, datetime
from itertools import count

import pytest

from modelfleet.engine.ledger import Ledger
from modelfleet.engine.model.observe import Caches, Observer
from modelfleet.engine.model.turn import FIGHT_SECONDS, MAX_PASSES, ModelTurns, ScalingTimes
from modelfleet.facts.identity import Key
from modelfleet.facts.model import Defaults
from modelfleet.kube.store import Store, own_key

KEY = Key("team-a", "digits")
SPEC = {"runtime": {"name": "custom", "image": "server:1"}}
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Cluster:
    """Stores, and a writer that answers as the API server would."""

    def __init__(self) -> None:
        self.versions = count(100)
        self.written: list[str] = []
        self.told: list[Key] = []
        self.repairs_stick = True
        kinds = ("MLModelVersion", "Deployment", "Service", "Pod")
        self.stores = {kind: Store(self.told.append) for kind in kinds}
        self.stores["MLModel"] = Store(self.told.append, own_key)
        self.put("MLModel", {"name": "digits", "generation": 1}, spec=SPEC)
        self.told.clear()

    def put(self, kind: str, meta: dict, **fields) -> None:
        place = {"namespace": KEY.namespace, "uid": f"uid-{meta['name']}", **meta}
        item = {"kind": kind, "metadata": {**place, "resourceVersion": str(next(self.versions))}}
        self.stores[kind].put({**item, **fields})

    def keep(self, kind: str, item: dict) -> None:
        version = str(next(self.versions))
        meta = {"uid": f"uid-{kind}", **item["metadata"], "resourceVersion": version}
        self.stores[kind].keep({**item, "metadata": meta})

    async def create(self, _key, _uid, create) -> None:
        self.written.append(f"create {create.manifest['kind']}")
        self.keep(create.manifest["kind"], create.manifest)

    async def repair(self, key, repair) -> None:
        self.written.append(f"repair {repair.manifest['kind']}")
        if self.repairs_stick:
            manifest = repair.manifest
            old = self.stores[manifest["kind"]].get(key.namespace, manifest["metadata"]["name"])
            spec = {**manifest["spec"], "replicas": old["spec"].get("replicas")}
            self.keep(manifest["kind"], {**manifest, "spec": spec})

    async def publish_status(self, model, status) -> tuple[str, ...]:
        wanted = status.model_dump(by_alias=True, exclude_none=True, mode="json")
        if wanted == (model.get("status") or {}):
            return ()
        self.written.append("status")
        self.keep("MLModel", {**model, "status": wanted})
        return ("Ready",)

    def publish(self, _model, event) -> None:
        self.written.append(f"event {event.reason}")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def turner(cluster: Cluster, looks: list[Key]) -> ModelTurns:
    stores = cluster.stores
    sight = Caches(
        models=stores["MLModel"],
        versions=stores["MLModelVersion"],
        deployments=stores["Deployment"],
        services=stores["Service"],
        pods=stores["Pod"],
        gateway_pods=Store(),
        gateways=None,
        defaults=Defaults(server_image="server:1"),
        gateway_drain_seconds=60.0,
    )
    return ModelTurns(
        stores["MLModel"],
        Observer(sight, lambda: NOW),
        cluster,
        cluster,
        configs=cluster,
        ledger=Ledger(),
        times=ScalingTimes(60.0, 300.0),
        on_observe=looks.append,
        monotonic=lambda: 100.0,
    )


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
