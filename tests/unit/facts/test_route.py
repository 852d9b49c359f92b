"""A route keeps what the gateways need, and its hash moves only with its content."""

from dataclasses import replace

from modelfleet.facts.route import RequestMatch, Route, RouteWeight

PLAIN = Route(1, (RouteWeight("churn-v1", 100),))
MATCHES = (
    RequestMatch(path="/healthz"),
    RequestMatch(path_prefix="/live/", method="GET"),
    RequestMatch(header="User-Agent", value_prefix="kube-probe/"),
    RequestMatch(header="x-check", value="yes"),
)
FULL = replace(
    PLAIN,
    burst_wait_seconds=9,
    overload_wait_seconds=5,
    uncounted=MATCHES,
    upgrades=("WebSocket",),
)


def test_a_route_survives_the_status() -> None:
    assert Route.from_status(FULL.to_status()) == FULL
    assert FULL.to_status()["uncounted"] == [
        {"path": "/healthz"},
        {"pathPrefix": "/live/", "method": "GET"},
        {"header": {"name": "User-Agent", "valuePrefix": "kube-probe/"}},
        {"header": {"name": "x-check", "value": "yes"}},
    ]


def test_fields_that_are_empty_leave_the_hash_alone() -> None:
    """An agent that does not know them yet must agree with the operator's hash."""
    assert not {"uncounted", "upgrades"} & PLAIN.to_status().keys()
    assert FULL.content_hash != PLAIN.content_hash
