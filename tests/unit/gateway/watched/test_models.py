"""Watched objects in any order, and what is kept when they vanish."""

import itertools
from typing import Any

import pytest

from modelfleet.gateway.watched import watched_objects
from modelfleet.gateway.watched.models import WatchedModels
from tests.gateway.objects import GATEWAYS, a_model, a_slice, a_version, gateway_slice, route

NAME = ("team-a", "churn")


class Clock:
    """Moves by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_fleet() -> tuple[WatchedModels, Clock]:
    clock = Clock()
    return WatchedModels(GATEWAYS, clock), clock


def seen(fleet: WatchedModels) -> Any:
    return fleet.view(NAME, lambda version: tuple(sorted(fleet.ready(version))))


OBJECTS = [
    ("MLModel", a_model("churn", route(3, {"churn-v1": 100}))),
    ("MLModelVersion", a_version("churn", 1)),
    ("EndpointSlice", a_slice("churn", 1, ["10.0.0.1", "10.0.0.2"])),
]


@pytest.mark.parametrize("order", list(itertools.permutations(OBJECTS)))
def test_any_order_and_duplicates_give_the_same(order: tuple[tuple[str, dict[str, Any]]]) -> None:
    fleet, _ = a_fleet()
    for kind, obj in (*order, *order):
        fleet.put(kind, obj)
    view = seen(fleet)
    assert view.route.revision == 3
    assert view.versions["churn-v1"].endpoints == ("10.0.0.1:8000", "10.0.0.2:8000")


@pytest.mark.parametrize(
    ("conditions", "count"),
    [({"ready": False}, 0), ({"terminating": True}, 0), ({"ready": None}, 1), ({}, 1)],
)
def test_only_ready_endpoints_that_stay_count(conditions: dict[str, Any], count: int) -> None:
    fleet, _ = a_fleet()
    fleet.put("EndpointSlice", a_slice("churn", 1, ["10.0.0.1"], **conditions))
    assert len(fleet.ready(("team-a", "churn-v1"))) == count


def test_a_vanished_route_keeps_the_last_good_one() -> None:
    fleet, _ = a_fleet()
    for kind, obj in OBJECTS:
        fleet.put(kind, obj)
    fleet.put("MLModel", a_model("churn", None))
    assert seen(fleet).route.revision == 3
    fleet.put("MLModel", a_model("churn", route(4, {"churn-v1": 0})))
    assert seen(fleet).route.revision == 3


def test_a_deleted_model_lives_as_long_as_its_endpoints() -> None:
    fleet, _ = a_fleet()
    for kind, obj in OBJECTS:
        fleet.put(kind, obj)
    fleet.delete(*OBJECTS[0])
    assert not fleet.is_over(NAME)
    fleet.delete(*OBJECTS[2])
    assert fleet.is_over(NAME)


def test_a_version_that_left_the_route_lingers() -> None:
    fleet, clock = a_fleet()
    for kind, obj in (*OBJECTS, ("MLModelVersion", a_version("churn", 2))):
        fleet.put(kind, obj)
    fleet.put("MLModel", a_model("churn", route(4, {"churn-v2": 100})))
    fleet.delete(*OBJECTS[1])
    assert seen(fleet).lingering == ("churn-v1",)
    clock.now = 109.0
    fleet.expire()
    assert seen(fleet).lingering == ("churn-v1",)
    clock.now = 111.0
    fleet.expire()
    assert seen(fleet).lingering == ()
    assert fleet.version(("team-a", "churn-v1")) is None


def test_a_route_waits_for_the_versions_it_sends_to() -> None:
    fleet, _ = a_fleet()
    fleet.put(*OBJECTS[0])
    assert seen(fleet) is None
    fleet.put(*OBJECTS[1])
    assert seen(fleet).versions["churn-v1"].endpoints == ()


def test_a_route_that_waits_does_not_freeze_the_endpoints() -> None:
    fleet, _ = a_fleet()
    for kind, obj in OBJECTS:
        fleet.put(kind, obj)
    assert seen(fleet).route.revision == 3
    fleet.put("MLModel", a_model("churn", route(4, {"churn-v2": 100})))
    fleet.put("EndpointSlice", a_slice("churn", 1, ["10.0.0.9"]))
    view = seen(fleet)
    assert (view.route.revision, view.lingering) == (3, ())
    assert view.versions["churn-v1"].endpoints == ("10.0.0.9:8000",)
    fleet.put("MLModelVersion", a_version("churn", 2))
    assert (seen(fleet).route.revision, seen(fleet).lingering) == (4, ("churn-v1",))


OLDER, YOUNGER = ("c", "a-b"), ("b-c", "a")
"""Both have the host `a-b-c`."""


def put_outside(fleet: WatchedModels, name: tuple[str, str], exposure: str = "External") -> None:
    namespace, model = name
    obj = a_model(model, route(1, {f"{model}-v1": 1}, exposure=exposure), namespace=namespace)
    obj["metadata"]["creationTimestamp"] = f"202{5 if name == OLDER else 6}-01-01T00:00:00Z"
    fleet.put("MLModel", obj)
    fleet.put("MLModelVersion", a_version(model, 1, namespace=namespace))


def has_host(fleet: WatchedModels, name: tuple[str, str]) -> bool:
    view = fleet.view(name, lambda _: ())
    return view is not None and view.has_dashed_host


@pytest.mark.parametrize("order", [(OLDER, YOUNGER), (YOUNGER, OLDER)])
def test_a_dashed_host_is_the_older_models_in_whatever_order_a_gateway_lists_them(order) -> None:
    fleet, _ = a_fleet()
    for name in order:
        put_outside(fleet, name)
    assert [has_host(fleet, name) for name in (OLDER, YOUNGER)] == [True, False]
    fleet.forget(OLDER)
    assert has_host(fleet, YOUNGER)


def test_a_model_that_is_served_inside_only_keeps_no_host_from_another() -> None:
    fleet, _ = a_fleet()
    changed: list[tuple[str, str]] = []
    fleet.on_model = changed.append
    put_outside(fleet, OLDER, exposure="Cluster")
    put_outside(fleet, YOUNGER)
    assert has_host(fleet, YOUNGER)
    changed.clear()
    put_outside(fleet, OLDER)
    assert [has_host(fleet, name) for name in (OLDER, YOUNGER)] == [True, False]
    assert {OLDER, YOUNGER} <= set(changed), "both are configured anew"


def test_peers_are_the_other_ready_gateways() -> None:
    fleet, _ = a_fleet()
    fleet.put("EndpointSlice", gateway_slice({"g-1": "10.0.0.1", "g-2": "10.0.0.2"}))
    assert fleet.peers("g-1") == ("10.0.0.2",)


def test_endpoints_of_several_slices_add_up() -> None:
    fleet, _ = a_fleet()
    one = a_slice("churn", 1, ["10.0.0.1"])
    two = a_slice("churn", 1, ["10.0.0.2"])
    two["metadata"]["name"] = "another"
    for part in (one, two):
        fleet.put("EndpointSlice", part)
    assert set(fleet.ready(("team-a", "churn-v1"))) == {"10.0.0.1:8000", "10.0.0.2:8000"}
    fleet.delete("EndpointSlice", one)
    assert set(fleet.ready(("team-a", "churn-v1"))) == {"10.0.0.2:8000"}


def pending_view(spec: object) -> Any:
    models, _ = a_fleet()
    model = {**a_model("churn"), "spec": spec}
    models.put("MLModel", model)
    return models.view(NAME, lambda _: ()).route


def test_a_model_without_a_version_is_held_by_the_bounds_of_its_spec():
    spec = {
        "scaling": {"hold": {"maxSeconds": 7, "maxRequests": 3}},
        "traffic": {"requestTimeoutSeconds": 9, "idempotent": False, "exposure": "External"},
    }
    route = pending_view(spec)
    assert (route.hold_max_seconds, route.hold_max_requests) == (7, 3)
    assert (route.request_timeout_seconds, route.idempotent) == (9, False)
    assert (route.exposure, route.revision, route.versions) == ("External", 0, ("churn-v0",))


def test_a_model_that_somebody_set_to_zero_is_held_for_a_second_only():
    assert pending_view({"replicas": 0}).hold_max_seconds == 1


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        {"traffic": []},
        {"traffic": {"requestTimeoutSeconds": "soon"}},
        {"traffic": {"requestTimeoutSeconds": -1}},
        {"scaling": {"hold": {"maxSeconds": None}}},
        {"scaling": {"hold": 5}},
    ],
    ids=repr,
)
def test_an_odd_spec_holds_by_the_defaults(spec):
    route = pending_view(spec)
    assert (route.hold_max_seconds, route.request_timeout_seconds) == (50, 60)


def test_the_first_route_replaces_the_hold_and_its_version_goes_in_the_end():
    models, clock = a_fleet()
    models.put("MLModel", a_model("churn"))
    models.put("MLModelVersion", a_version("churn", 1))
    models.put("MLModel", a_model("churn", route(1, {"churn-v1": 100})))
    view = models.view(NAME, lambda _: ())
    assert (view.route.versions, view.lingering) == (("churn-v1",), ("churn-v0",))
    models.expire()
    assert ("team-a", "churn-v0") in models.versions
    clock.now += 1000
    models.expire()
    models.expire()
    assert models.versions == (("team-a", "churn-v1"),)
    assert models.view(NAME, lambda _: ()).lingering == ()


def test_a_stalled_model_has_its_reason():
    models, _ = a_fleet()
    stalled = {"type": "Stalled", "status": "True", "reason": "FetchFailed"}
    models.put("MLModel", {**a_model("churn"), "status": {"conditions": [stalled]}})
    assert models.fault("team-a/churn") == "FetchFailed"
    models.put("MLModel", {**a_model("churn"), "status": {"conditions": []}})
    assert models.fault("team-a/churn") == ""


@pytest.mark.parametrize("field", ["requestTimeoutSeconds", "maxReplayBytes"])
@pytest.mark.parametrize("value", ["60", None, [60]])
def test_a_route_whose_number_is_none_is_no_route_and_no_error(field: str, value: Any) -> None:
    route = {"revision": 1, "weights": [{"version": "churn-v1", "weight": 100}], field: value}
    model = {"metadata": {"name": "churn"}, "status": {"route": route}}
    assert watched_objects.read_route(model) is None
