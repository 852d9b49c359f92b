"""Stores, a writer that answers as the API server would, and the turns of one model over both."""

from datetime import UTC, datetime
from itertools import count

from modelfleet.engine.ledger import Ledger
from modelfleet.engine.model.last_turn import ScalingTimes
from modelfleet.engine.model.observe import Caches, Observer
from modelfleet.engine.model.turn import ModelTurns
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
        self.now = 100.0
        self.errors: dict[str, Exception] = {}
        """Verb of a write, such as `scale` or `repair`, to the error that it ends with."""
        kinds = ("MLModelVersion", "Deployment", "Service", "PodDisruptionBudget", "Pod")
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
        name = item["metadata"]["name"]
        meta = {"uid": f"uid-{kind}-{name}", **item["metadata"], "resourceVersion": version}
        self.stores[kind].keep({**item, "metadata": meta})

    async def create(self, _key, _uid, create) -> None:
        self.written.append(f"create {create.manifest['kind']}")
        self._fail(self.written[-1])
        self.keep(create.manifest["kind"], create.manifest)

    async def repair(self, key, repair) -> dict:
        """As server-side apply does: additions of others stay."""
        return self._mend("repair", key, repair, is_whole=False)

    async def replace(self, key, repair) -> dict:
        return self._mend("replace", key, repair, is_whole=True)

    def _mend(self, verb: str, key, repair, *, is_whole: bool) -> dict:
        manifest = repair.manifest
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        self.written.append(f"{verb} {kind}")
        self._fail(verb)
        old = self.stores[kind].get(key.namespace, name)
        if self.repairs_stick:
            spec = {**manifest["spec"], "replicas": old["spec"].get("replicas")}
            if not is_whole and kind == "Service":
                spec["selector"] = {**old["spec"].get("selector", {}), **spec["selector"]}
            self.keep(kind, {**manifest, "spec": spec})
        return self.stores[kind].get(key.namespace, name)

    async def scale(self, key, scale, *, is_down: bool) -> None:  # noqa: ARG002 - the port's name
        self.written.append("scale")
        self._fail("scale")
        old = self.stores["Deployment"].get(key.namespace, scale.name)
        self.keep("Deployment", {**old, "spec": {**old["spec"], "replicas": scale.replicas}})

    async def delete(self, key, delete) -> None:
        self.written.append(f"delete {delete.kind}")
        self._fail("delete")
        store = self.stores[delete.kind]
        known = store.get(key.namespace, delete.name)
        if known is not None and known["metadata"]["uid"] == delete.uid:
            store.remove(known)

    async def learn(self, key, learned) -> None:
        self.written.append("learn")
        old = self.stores["MLModelVersion"].get(key.namespace, learned.name)
        status = {**(old.get("status") or {}), "outcome": learned.outcome}
        self.keep("MLModelVersion", {**old, "status": status})

    def _fail(self, verb: str) -> None:
        if verb in self.errors:
            raise self.errors[verb]

    async def publish_status(self, model, status) -> tuple[str, ...]:
        wanted = status.model_dump(by_alias=True, exclude_none=True, mode="json")
        if wanted == (model.get("status") or {}):
            return ()
        self.written.append("status")
        self.keep("MLModel", {**model, "status": wanted})
        return ("Ready",)

    def publish(self, _model, event) -> None:
        self.written.append(f"event {event.reason}")


def turner(cluster: Cluster, looks: list[Key]) -> ModelTurns:
    stores = cluster.stores
    sight = Caches(
        models=stores["MLModel"],
        versions=stores["MLModelVersion"],
        deployments=stores["Deployment"],
        services=stores["Service"],
        budgets=stores["PodDisruptionBudget"],
        knows_budgets=lambda: True,
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
        monotonic=lambda: cluster.now,
    )


async def settled(cluster: Cluster, turns: ModelTurns) -> None:
    """Turns until one writes nothing: within eight, as minutes go by."""
    for _ in range(8):
        cluster.now += 61
        cluster.written.clear()
        await turns.turn(KEY)
        if not cluster.written:
            return
    raise AssertionError(cluster.written)
