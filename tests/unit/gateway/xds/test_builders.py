"""What Envoy is told: names, weights, times, holders, retries."""

import json

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_components_pb2
from google.protobuf import json_format

from modelfleet.gateway.bootstrap import Listening, bootstrap
from modelfleet.gateway.bounds.listener_bounds import ListenerBounds
from modelfleet.gateway.watched.view import GatewaySite, ModelView, VersionView
from modelfleet.gateway.xds import actions, builders
from modelfleet.gateway.xds.resource_cache import ResourceCache
from tests.gateway.objects import route

SITE = GatewaySite("gateway-1", other_holders=())


def view(weights: dict[str, int], **more: object) -> ModelView:
    asked = route(1, weights, **more)
    return ModelView(
        "team-a", "churn", "u", asked, {v: VersionView("HTTP1", None, ()) for v in weights}
    )


def host(seen: ModelView, routes: str = "cluster") -> dict[str, object]:
    message = route_components_pb2.VirtualHost.FromString(
        builders.build_virtual_host(seen, routes, SITE).body
    )
    return json_format.MessageToDict(message)


def test_answers_have_no_end_and_silence_has_one() -> None:
    seen = host(view({"churn-v1": 100}, hold_max_seconds=50, request_timeout_seconds=60))
    assert seen["routes"][0]["route"]["timeout"] == "0s"
    assert seen["routes"][0]["route"]["idleTimeout"] == "230s"


def test_versions_of_weight_zero_get_no_requests_and_keep_their_clusters() -> None:
    seen = view({"churn-v1": 100, "churn-v2": 0})
    clusters = host(seen)["routes"][0]["route"]["weightedClusters"]["clusters"]
    assert [(c["name"], c["weight"]) for c in clusters] == [("team-a/churn-v1", 100)]
    names = {resource.name for resource in ResourceCache(SITE).project(seen).clusters}
    assert {"team-a/churn-v2", "team-a/churn-v2/pods"} <= names


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("churn-v1", ["team-a/churn-v1/pods", "holder"]),
        ("churn-v2", ["team-a/churn-v2/pods", "holder"]),
        (
            "churn-v3",
            ["team-a/churn-v3/pods", "team-a/churn-v1/pods", "team-a/churn-v2/pods", "holder"],
        ),
    ],
)
def test_who_answers_for_a_version(version: str, expected: list[str]) -> None:
    seen = view({"churn-v1": 90, "churn-v2": 10, "churn-v3": 0})
    assert list(builders.members(seen, version)) == expected


@pytest.mark.parametrize(("is_idempotent", "resets"), [(True, True), (False, False)])
def test_requests_cut_in_the_middle_are_replayed_only_where_allowed(
    is_idempotent: bool, resets: bool
) -> None:
    policy = actions.retry_policy(is_idempotent=is_idempotent, silence_seconds=60, hold_seconds=50)
    assert ("reset" in policy["retry_on"].split(",")) is resets


def test_each_retry_looks_at_the_aggregate_anew() -> None:
    """What it saw an attempt before may name a member that has left: Envoy 1.40 crashed (0008)."""
    config = actions.retry_policy(is_idempotent=True, silence_seconds=60, hold_seconds=50)[
        "retry_priority"
    ]["typed_config"]
    assert config["update_frequency"] == 1


def test_equal_input_gives_equal_versions_and_the_same_objects() -> None:
    seen = view({"churn-v1": 100})
    projector = ResourceCache(SITE)
    first, second = projector.project(seen), projector.project(seen)
    assert all(a is b for a, b in zip(first.resources, second.resources, strict=True))
    other = ResourceCache(SITE).project(seen)
    assert [r.version for r in other.resources] == [r.version for r in first.resources]


def test_the_revision_changes_nothing_in_envoy() -> None:
    one = builders.build_virtual_host(view({"churn-v1": 100}), "cluster", SITE)
    seen = view({"churn-v1": 100})
    two = builders.build_virtual_host(
        ModelView("team-a", "churn", "u", route(9, {"churn-v1": 100}), seen.versions),
        "cluster",
        SITE,
    )
    assert one.version == two.version


def test_own_holder_first_and_ipv6() -> None:
    found = builders.holder_endpoints("127.0.0.1:9444", ("[fd00::2]:9444",))
    message = endpoint_pb2.ClusterLoadAssignment.FromString(found.body)
    hosts = [
        (e.endpoint.address.socket_address.address, e.load_balancing_weight.value)
        for e in message.endpoints[0].lb_endpoints
    ]
    assert hosts == [("127.0.0.1", builders.OWN_WEIGHT), ("fd00::2", builders.OTHER_WEIGHT)]


def test_circuit_breakers_stand_above_any_hold() -> None:
    message = cluster_pb2.Cluster.FromString(builders.build_pods_cluster("x/y/pods", "GRPC").body)
    limits = message.circuit_breakers.thresholds[0]
    assert limits.max_retries.value == builders.UNBOUNDED
    assert message.common_lb_config.healthy_panic_threshold.value == 0


def test_nowhere_does_envoys_default_time_stand() -> None:
    text = json.dumps(bootstrap("g", "/run", Listening(bounds=ListenerBounds(1, 1))))
    assert text.count('"initial_fetch_timeout": "0s"') == 3
    assert '"max_heap_size_bytes": 1' in text
    assert '"15s"' not in text


def test_unknown_hosts_learn_the_known_forms() -> None:
    message = route_components_pb2.VirtualHost.FromString(
        builders.unknown_host("external", SITE).body
    )
    body = json.loads(message.routes[0].direct_response.body.inline_string)
    assert body["hosts"] == ["<model>.<namespace>.localhost", "<model>-<namespace>.localhost"]


@pytest.mark.parametrize(
    ("silence", "hold", "more"), [(60, 50, 0), (60, 60, 1), (5, 50, 11), (1, 50, 99), (3600, 1, 0)]
)
def test_a_hold_that_is_longer_than_an_attempt_has_more_of_them(silence, hold, more):
    policy = actions.retry_policy(is_idempotent=True, silence_seconds=silence, hold_seconds=hold)
    assert policy["num_retries"] == actions.RETRIES + more
    assert policy["per_try_idle_timeout"] == f"{silence}s"
