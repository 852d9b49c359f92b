"""A request to a model that was deleted meanwhile is refused, and the metrics can still be read."""

import time
from types import SimpleNamespace

from prometheus_client import generate_latest

from modelfleet.gateway import envoy_names
from modelfleet.gateway.requests.counters import TrafficCounters
from modelfleet.gateway.requests.holder import Holder, HolderClocks
from modelfleet.gateway.traffic_metrics import agent_registry


async def test_a_refused_request_of_no_model_leaves_the_metrics_readable():
    traffic = TrafficCounters(time.monotonic)
    nothing = SimpleNamespace(route=lambda _key: None)
    clocks = HolderClocks(time.monotonic, time.time)
    holder = Holder(nothing, traffic, clocks, lambda _key, _number: None, max_bytes=1000)
    holder.begin()
    headers = {envoy_names.HEADER_MODEL: "team-a/gone", envoy_names.HEADER_VERSION: "gone-v1"}
    answer = await holder.handle(SimpleNamespace(headers=headers, content_length=0))
    assert answer.status == 503
    exposed = generate_latest(agent_registry(traffic, lambda: holder.held)).decode()
    assert "modelfleet_gateway_held_requests" in exposed
    assert "modelfleet_gateway_hold_refusals_total{" not in exposed
