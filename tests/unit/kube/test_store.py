"""The store: newest wins, deletions stay, the index follows the label."""

import pytest

from modelfleet.facts.identity import Key
from modelfleet.kube.store import Store

KEY = Key("ns", "digits")


def item(version: int, uid: str = "u", name: str = "x", model: str = "digits") -> dict:
    return {
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {"modelfleet.dev/model": model},
        }
    }


@pytest.fixture
def told() -> list[Key]:
    return []


@pytest.fixture
def store(told) -> Store:
    return Store(told.append)


def test_older_state_never_overwrites_a_newer_one(store, told):
    store.put(item(9))
    store.put(item(10))
    store.put(item(9))
    assert store.get("ns", "x")["metadata"]["resourceVersion"] == "10"
    assert told == [KEY, KEY]


def test_echo_of_our_own_write_wakes_nobody(store, told):
    store.put(item(5))
    told.clear()
    store.put(item(5))
    assert told == []


def test_answer_to_our_own_write_is_kept_and_nobody_is_told(store, told):
    store.put(item(5))
    told.clear()
    store.keep(item(6))
    assert store.get("ns", "x")["metadata"]["resourceVersion"] == "6"
    assert told == []


def test_change_that_nobody_reads_is_kept_and_nobody_is_told(told):
    store = Store(told.append, reads=lambda one: one.get("spec"))
    store.put({**item(5), "spec": 1})
    store.put({**item(6), "spec": 1})
    assert told == [KEY]
    assert store.get("ns", "x")["metadata"]["resourceVersion"] == "6"
    store.put({**item(7), "spec": 2})
    store.put({**item(8, uid="other"), "spec": 2})
    assert told == [KEY, KEY, KEY]


def test_late_answer_does_not_bring_a_deleted_object_back(store):
    store.put(item(5))
    store.remove(item(7))
    store.put(item(6))
    assert store.get("ns", "x") is None


def test_object_that_only_left_the_selector_can_be_read_again(store):
    store.put(item(5))
    store.remove(item(6))
    store.put(item(6))
    assert store.get("ns", "x") is not None


def test_new_object_of_an_old_name_is_another_one(store):
    store.put(item(5, uid="old"))
    store.put(item(6, uid="new"))
    store.remove(item(7, uid="old"))
    assert store.get("ns", "x")["metadata"]["uid"] == "new"


def test_list_removes_what_was_deleted_in_the_gap(store, told):
    store.put(item(1, uid="a", name="a"))
    store.put(item(2, uid="b", name="b"))
    told.clear()
    store.replace([item(2, uid="b", name="b")], "2")
    assert [o["metadata"]["name"] for o in store.of_model(KEY)] == ["b"]
    assert told == [KEY]


def test_list_leaves_newer_objects_and_other_namespaces_alone(store):
    store.put(item(9, uid="new", name="new"))
    elsewhere = item(1, uid="far", name="far")
    elsewhere["metadata"]["namespace"] = "other"
    store.put(elsewhere)
    store.replace([], "5", "ns")
    assert {o["metadata"]["name"] for o in store.all()} == {"new", "far"}


def test_managers_names_stay_when_managed_fields_go(store):
    big = item(1)
    big["metadata"]["managedFields"] = [{"manager": "kubectl-edit"}, {"manager": "modelfleet"}]
    store.put(big)
    assert store.get("ns", "x")["metadata"]["managers"] == ["kubectl-edit", "modelfleet"]
