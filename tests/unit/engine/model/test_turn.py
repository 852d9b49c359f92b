"""A turn sees its own writes: it ends with a pass that wants no more, and wakes nobody."""

import math

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.engine.model.turn import FIGHT_SECONDS
from modelfleet.errors import Forbidden, Refused
from modelfleet.facts.identity import Key
from modelfleet.facts.plan import Plan, VersionLearned
from modelfleet.telemetry import metrics
from tests.doubles.turned_cluster import KEY, SPEC, Cluster, turner


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def conditions(cluster: Cluster) -> dict[str, dict]:
    status = cluster.stores["MLModel"].get("team-a", "digits")["status"]
    return {condition["type"]: condition for condition in status["conditions"]}


async def test_first_turn_makes_everything_and_wakes_nobody(cluster):
    looks: list[Key] = []
    outcome = await turner(cluster, looks).turn(KEY)
    made = [words for words in cluster.written if words.startswith("create")]
    kinds = ("MLModelVersion", "Deployment", "Service", "PodDisruptionBudget")
    assert made == [f"create {kind}" for kind in kinds]
    assert cluster.written.count("status") == 1
    assert outcome.writes == 5
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
    cluster.errors["repair"] = Refused(Reason.CREATE_REFUSED, "422: admission webhook denies it")
    cluster.written.clear()
    await turns.turn(KEY)
    assert cluster.written == ["repair Service", "event ForeignEdit"]
    cluster.written.clear()
    assert (await turns.turn(KEY)).writes == 0


@pytest.mark.parametrize("error", [Forbidden("403: denied"), Refused(Reason.INVALID_SPEC, "422")])
async def test_a_refused_write_stops_neither_the_others_nor_the_status(cluster, error):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    model = cluster.stores["MLModel"].get("team-a", "digits")
    cluster.keep("MLModel", {**model, "spec": {**model["spec"], "replicas": 3}})
    cluster.errors["scale"] = error
    cluster.written.clear()
    outcome = await turns.turn(KEY)
    assert cluster.written.count("scale") == 1
    assert outcome.look_again_seconds == 1.0
    await turns.turn(KEY)
    assert cluster.written.count("scale") == 1, "it is not tried again before its time"
    cluster.now += 10
    await turns.turn(KEY)
    assert cluster.written.count("scale") == 2
    assert conditions(cluster)["RolledOut"]["reason"] == "WriteRefused"
    assert "Deployment/digits-v1: 4" in conditions(cluster)["RolledOut"]["message"]
    cluster.errors.clear()
    cluster.now += 10
    await turns.turn(KEY)
    assert conditions(cluster)["RolledOut"]["reason"] != "WriteRefused"
    assert cluster.stores["Deployment"].get("team-a", "digits-v1")["spec"]["replicas"] == 3


async def test_repair_that_is_forbidden_is_left_and_the_rest_is_done(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    cluster.stores["Service"].get("team-a", "digits-v1")["spec"]["selector"] = {"foreign": "hand"}
    cluster.errors["repair"] = Forbidden("403: admission webhook denies it")
    cluster.written.clear()
    await turns.turn(KEY)
    assert cluster.written == ["repair Service", "event ForeignEdit"]


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


async def test_refused_writes_are_tried_ever_less_often_and_at_once_for_a_new_spec(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    model = cluster.stores["MLModel"].get("team-a", "digits")
    cluster.keep("MLModel", {**model, "spec": {**model["spec"], "replicas": 3}})
    cluster.errors["scale"] = Forbidden("403: denied")
    cluster.written.clear()
    for _ in range(300):
        await turns.turn(KEY)
        cluster.now += 1
    assert 7 <= cluster.written.count("scale") <= 11, "after 1, 2, 4, 8, 16, 32, 60, 60 s ..."
    cluster.written.clear()
    model = cluster.stores["MLModel"].get("team-a", "digits")
    newer = {**model["metadata"], "generation": 9}
    cluster.keep("MLModel", {**model, "metadata": newer, "spec": {**model["spec"], "replicas": 4}})
    await turns.turn(KEY)
    assert cluster.written.count("scale") == 1


async def test_a_refused_budget_degrades_and_stalls_nothing(cluster):
    turns = turner(cluster, [])
    cluster.errors["create PodDisruptionBudget"] = Forbidden("403: no right")
    await turns.turn(KEY)
    cluster.now += 100
    await turns.turn(KEY)
    claims = conditions(cluster)
    assert claims["Degraded"]["reason"] == "CreateRefused"
    assert "PodDisruptionBudget/digits-replicas: 403" in claims["Degraded"]["message"]
    assert claims["Stalled"]["status"] == "False"


@pytest.mark.parametrize("is_made_again", [False, True])
async def test_of_a_deleted_model_no_series_stays(cluster, is_made_again):
    """Also of one that lived too briefly for a forecast, or that has a successor by its name."""
    turns = turner(cluster, [])
    await turns.turn(KEY)
    for metric in (metrics.OVERLOAD, metrics.SERVICE_SECONDS):
        metric.labels(KEY.namespace, KEY.name).set(1.0)
    cluster.stores["MLModel"].remove(cluster.stores["MLModel"].get("team-a", "digits"))
    if is_made_again:
        meta = {"name": "digits", "generation": 1, "uid": "uid-of-another"}
        cluster.put("MLModel", meta, spec=SPEC)
    await turns.turn(KEY)
    labels = {"namespace": KEY.namespace, "model": KEY.name}
    kept = {metrics.MODEL_CONDITION} if is_made_again else set()  # they are the successor's
    left = [
        sample
        for metric in set(metrics.OF_MODELS) - kept
        for family in metric.collect()
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    ]
    assert left == []


async def test_of_a_deleted_model_nothing_is_kept(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    assert KEY in turns._observer._seen
    cluster.stores["MLModel"].remove(cluster.stores["MLModel"].get("team-a", "digits"))
    await turns.turn(KEY)
    assert KEY not in turns._observer._seen
    assert KEY not in turns._ledger._entries


def shown() -> dict[str, float]:
    [family] = metrics.MODEL_CONDITION.collect()
    return {
        sample.labels["condition"]: sample.value
        for sample in family.samples
        if (sample.labels["namespace"], sample.labels["model"]) == KEY
    }


async def test_conditions_are_metrics_and_come_back_with_the_next_term(cluster):
    turns = turner(cluster, [])
    await turns.turn(KEY)
    assert shown() == {"Ready": 0, "Stalled": 0, "Degraded": 0}
    model = cluster.stores["MLModel"].get("team-a", "digits")
    faulty = {"runtime": {"name": "dance"}}
    cluster.keep("MLModel", {**model, "spec": faulty})
    cluster.now += 10
    await turns.turn(KEY)
    assert conditions(cluster)["Stalled"]["status"] == "True"
    assert shown()["Stalled"] == 1
    metrics.forget_models()
    assert shown() == {}
    cluster.written.clear()
    await turns.turn(KEY)
    assert cluster.written == [], "nothing has changed"
    assert shown()["Stalled"] == 1
    metrics.forget_models()


def test_a_model_costs_few_series():
    labels = {"term": 6, "state": 4, "condition": len(metrics.SHOWN_CONDITIONS)}
    number = 0
    for metric in metrics.OF_MODELS:
        own = set(metric._labelnames) - {"namespace", "model"}
        number += math.prod(labels[name] for name in own)
    assert number == 18


async def test_an_image_that_an_older_crd_drops_is_written_once(cluster):
    """The double of the API server keeps the outcome alone, as a CRD without `imageId` does."""
    turns = turner(cluster, [])
    await turns.turn(KEY)
    model = cluster.stores["MLModel"].get("team-a", "digits")
    cluster.written.clear()
    for image in (None, "sha256:1", "sha256:1", "sha256:1", "sha256:2"):
        facts = await turns._facts(KEY, model)
        learned = VersionLearned("digits-v1", "Stable", None, image)
        await turns._apply(model, facts, Plan(status=facts.status, why="", learned=(learned,)))
    assert cluster.written == ["learn"] * 3, "the outcome, and each image"
