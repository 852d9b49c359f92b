"""Statuses and objects of other releases: nothing breaks, nothing shrinks, nothing goes back.

Drawn are fields that nobody knows, missing ones, nulls, other types and newer members of an enum,
at any depth of an object as this release writes it.
"""

import asyncio
import copy
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.api.names import IN_SERVICE, LABEL_IN_SERVICE
from modelfleet.api.tolerant import with_unknown
from modelfleet.build.metadata import labels
from modelfleet.core.model.decide import decide
from modelfleet.core.model.invariants import guard
from modelfleet.engine.model.stored import parse_spec, parse_status, read_version_spec
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import Plan
from modelfleet.gateway.watched.watched_objects import (
    fault_of,
    pending_route,
    read_route,
    read_version,
)
from modelfleet.kube.apply import changed_fields, merge_patch
from tests.doubles.turned_cluster import Cluster, settled, turner
from tests.given import Given, a_model, version_spec

DRAWN = int(os.environ.get("MODELFLEET_DRAWN_RELEASES", "200"))
COUNTED: Counter[str] = Counter()
WRONG = (None, "other", "", -1, 0, 3, 1.5, True, [], {}, [None], {"x": 1}, "2026-01-01", 10**20)
EDIT = st.fixed_dictionaries(
    {
        "steps": st.lists(st.integers(0, 40), min_size=1, max_size=6),
        "how": st.sampled_from(["unknown", "unknown", "missing", "wrong", "wrong", "newer"]),
        "wrong": st.sampled_from(WRONG),
    }
)
EDITS = st.lists(EDIT, min_size=1, max_size=4)
LONE = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SERVING = {
    "kind": "Pod",
    "metadata": {
        "name": "digits-v1-abc-1",
        "namespace": "team-a",
        "creationTimestamp": "2026-11-24T11:00:00Z",
        "labels": {**labels("digits", "digits-v1"), LABEL_IN_SERVICE: IN_SERVICE},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "digits-v1-abc"}],
    },
    "status": {
        "phase": "Running",
        "podIP": "10.0.0.9",
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T11:01:00Z"}
        ],
    },
}
Parser = Callable[[dict[str, Any]], MLModelStatus]


@pytest.fixture(scope="module", autouse=True)
def counts():
    yield
    print(f"objects of other releases: {dict(COUNTED)}")


def edited(item: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """The object with one place changed by each edit; the steps choose the path."""
    result = copy.deepcopy(item)
    for edit in edits:
        holder: Any = None
        key: Any = None
        place: Any = result
        for step in edit["steps"]:
            keys = sorted(place) if isinstance(place, dict) else list(range(_length(place)))
            if not keys:
                break
            holder, key = place, keys[step % len(keys)]
            # A template has the form of Kubernetes; it is there whole or not at all.
            place = None if key == "template" else holder[key]
        if holder is not None:
            _change(holder, key, edit)
        COUNTED[edit["how"]] += 1
    return result


def _length(place: Any) -> int:
    return len(place) if isinstance(place, list) else 0


def _change(holder: Any, key: Any, edit: dict[str, Any]) -> None:
    if edit["how"] == "missing":
        del holder[key]
    elif edit["how"] == "wrong":
        holder[key] = copy.deepcopy(edit["wrong"])
    elif edit["how"] == "newer" and isinstance(holder[key], str):
        holder[key] = "Newer"
    elif isinstance(holder, dict):
        holder["newer"] = {"since": "0.9"}


def world(is_rollout: bool) -> Given:
    made = a_model().asking(scaling={"maxReplicas": 20, "minReplicas": 0}).serving(7)
    made.routed(9, v1=100)
    stable = made.versions["digits-v1"]
    made.versions["digits-v1"] = replace(stable, outcome="Stable")
    if is_rollout:
        made.wanting_next(2, replicas=7, ready=7).routed(9, v1=50, v2=50)
        rollout = {"strategy": "Rolling", "step": "Shift", "why": "x", "state": {"a": "b"}}
        rollout["startTime"] = "2026-11-24T11:00:00Z"
        made.status.update(candidate="digits-v2", rollout=rollout)
    return made


def written(facts: ModelFacts) -> dict[str, Any]:
    """The status as this release stores it, with all that a turn adds."""
    return decide(facts).status.model_dump(by_alias=True, exclude_none=True, mode="json")


def shrunk(facts: ModelFacts, plan: Plan) -> list[str]:
    """Versions that would lose replicas, by targets or by objects that are deleted."""
    lost = [scale.name for scale in plan.scales if scale.replicas < 7]
    lost += [name for name, number in plan.targets.items() if number < 7]
    return lost + [delete.name for delete in plan.deletes if delete.kind == "Deployment"]


def decision(stored: dict[str, Any], facts: ModelFacts, parse: Parser = parse_status) -> Plan:
    """What is decided on this status by a leader that has just started."""
    return decide(replace(facts, status=parse({"status": stored}), grant=None, ask=None))


def granted(stored: dict[str, Any]) -> Any:
    """A decision that reads well but says less is obeyed: such an edit is left out."""
    scaling = stored.get("scaling")
    return scaling.get("granted") if isinstance(scaling, dict) else None


def revision(stored: dict[str, Any]) -> int:
    route = stored.get("route")
    found = route.get("revision") if isinstance(route, dict) else None
    return found if type(found) is int and 1 <= found < 2**62 else 0


@settings(max_examples=DRAWN, **LONE)
@given(edits=EDITS, is_rollout=st.booleans())
def test_nothing_shrinks_and_no_revision_goes_back(edits, is_rollout):
    facts = world(is_rollout).facts()
    stored = edited(written(facts), edits)
    said = granted(stored)
    plan = decision(stored, facts)
    assert not [breach for breach in guard(plan, facts) if breach.name != "WeightsSum"]
    if not (type(said) is int and said < 7):
        assert shrunk(facts, plan) == []
    # Gateways that have the route say its revision even where the status is lost. A lower one that
    # reads well is obeyed: the content's hash tells it from an older route.
    assert plan.status.route is None or plan.status.route.revision >= (revision(stored) or 9)
    silent = replace(facts.gateways, acknowledged=dict.fromkeys(facts.gateways.acknowledged))
    alone = decision(stored, replace(facts, gateways=silent))
    if alone.status.route is not None:
        assert alone.status.route.revision >= revision(stored)


@settings(max_examples=DRAWN, **LONE)
@given(edits=EDITS)
def test_what_a_newer_release_wrote_stays(edits):
    facts = world(is_rollout=False).facts()
    unknown = [{**edit, "how": "unknown"} for edit in edits]
    stored = edited(written(facts), unknown)
    plan = decision(stored, facts)
    body = plan.status.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert merge_patch(stored, with_unknown(MLModelStatus, stored, body)) == {}


@settings(max_examples=DRAWN, **LONE)
@given(edits=EDITS, more=EDITS)
def test_turns_come_to_rest_on_any_status_and_version(edits, more):
    cluster = Cluster()
    turns = turner(cluster, [])

    async def played() -> None:
        await settled(cluster, turns)
        cluster.keep("Pod", SERVING)
        await settled(cluster, turns)
        model = cluster.stores["MLModel"].get("team-a", "digits")
        cluster.keep("MLModel", {**model, "status": edited(model["status"], edits)})
        version = cluster.stores["MLModelVersion"].get("team-a", "digits-v1")
        meta = {**version["metadata"], "uid": "uid-other-release"}
        parts = {
            part: edited(version[part], more) for part in ("spec", "status") if version.get(part)
        }
        cluster.keep("MLModelVersion", {**version, **parts, "metadata": meta})
        before = cluster.stores["Deployment"].get("team-a", "digits-v1")["spec"]["replicas"]
        await settled(cluster, turns)
        after = cluster.stores["Deployment"].get("team-a", "digits-v1")
        assert after is not None
        assert after["spec"]["replicas"] >= before == 1

    asyncio.run(played())


@settings(max_examples=DRAWN, **LONE)
@given(edits=EDITS, is_rollout=st.booleans())
def test_no_reader_raises(edits, is_rollout):
    facts = world(is_rollout).facts()
    stored = edited(written(facts), edits)
    version = version_spec(1).model_dump(by_alias=True, exclude_none=True, mode="json")
    meta = {"name": "digits-v1", "namespace": "team-a"}
    model = {"metadata": meta, "spec": edited({"scaling": {"maxReplicas": 3}}, edits)}
    model |= {"status": stored}
    parse_spec(model)
    parse_status(model)
    read_route(model)
    fault_of(model)
    pending_route(model, "Cluster")
    changed_fields(stored, written(facts))
    found, _ = read_version_spec({"metadata": meta, "spec": edited(version, edits)})
    assert found.number >= 1
    read_version({"metadata": meta, "spec": edited(version, edits)})


def test_a_reader_that_loses_a_section_would_be_found():
    """One that gives up a section for one leaf, as it once did: the revision is lost."""

    def coarse(model: dict[str, Any]) -> MLModelStatus:
        status = {k: v for k, v in model["status"].items() if k != "route"}
        return MLModelStatus.model_validate(status)

    facts = world(is_rollout=False).facts()
    silent = replace(facts.gateways, acknowledged=dict.fromkeys(facts.gateways.acknowledged))
    facts = replace(facts, gateways=silent)
    stored = written(facts)
    stored["route"]["hold"] = "other"
    assert decision(stored, facts).status.route.revision >= 9
    assert decision(stored, facts, coarse).status.route.revision == 1
