"""The next route: what the spec says of traffic reaches the gateways, once."""

from modelfleet.core.model.next_route import next_route, present
from modelfleet.facts.route import RequestMatch
from tests.given import a_model, spec_of

UNCOUNTED = [
    {"path": "/healthz"},
    {"header": {"name": "User-Agent", "valuePrefix": "kube-probe/"}},
]


def test_what_does_not_count_is_routed_and_stays() -> None:
    spec = spec_of(traffic={"uncounted": UNCOUNTED, "upgrades": ["WebSocket"]})
    given = a_model().serving(1)
    route = next_route(given.facts(), spec, {"digits-v1": 100}, ())
    assert route.upgrades == ("WebSocket",)
    assert route.uncounted == (
        RequestMatch(path="/healthz"),
        RequestMatch(header="User-Agent", value_prefix="kube-probe/"),
    )
    given.status["route"] = route.to_status()
    assert present(given.facts()) == route
    assert next_route(given.facts(), spec, {"digits-v1": 100}, ()).revision == route.revision
