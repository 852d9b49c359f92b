"""From the spec to what the tick is told: bounds of now, signals, and the next look."""

from datetime import timedelta

from modelfleet.engine.ledger import Ledger
from modelfleet.facts.readings import SignalSpec
from tests.doubles.turned_cluster import KEY, NOW, SPEC, Cluster, turner

SCALING = {
    "signals": [{"name": "lag", "query": "sum(lag)", "target": "500m"}],
    "schedules": [
        {"name": "noon", "start": "0 11 * * *", "end": "1 12 * * *", "minReplicas": 3},
    ],
}


class Scaled(Cluster):
    """One whose Deployments take replicas."""

    async def scale(self, key, scale, *, is_down: bool) -> None:
        old = self.stores["Deployment"].get(key.namespace, scale.name)
        self.keep("Deployment", {**old, "spec": {**old["spec"], "replicas": scale.replicas}})


async def test_turn_tells_the_tick_bounds_and_signals_and_looks_again_at_the_edge():
    cluster, ledger = Scaled(), Ledger()
    cluster.put("MLModel", {"name": "digits", "generation": 1}, spec=SPEC | {"scaling": SCALING})
    made = turner(cluster, [])
    made._ledger = ledger
    outcome = await made.turn(KEY)
    seen = ledger.entry(KEY).last_turn
    assert seen is not None
    assert (seen.params.min_replicas, seen.params.max_replicas) == (3, 10)
    assert seen.params.bounds_why == ("schedule 'noon': minReplicas", None)
    assert ledger.watched()[KEY].signals == (SignalSpec("lag", 0.5, query="sum(lag)"),)
    assert outcome.look_again_seconds is not None
    assert outcome.look_again_seconds <= 60
    made._observer._utc_now = lambda: NOW + timedelta(seconds=60)
    await made.turn(KEY)
    later = ledger.entry(KEY).last_turn
    assert later is not None
    assert later.params.min_replicas == 1
    assert later.granted == 1
