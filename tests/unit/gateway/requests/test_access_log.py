"""Entries of Envoy's access log become counts of the right model."""

import pytest
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from modelfleet.gateway import envoy_names
from modelfleet.gateway.requests.access_log import AccessLog
from modelfleet.gateway.requests.counters import TrafficCounters


def attempt(key: str, route: str) -> als_pb2.StreamAccessLogsMessage:
    """Return the entry of a first attempt that reached a replica of version 1."""
    message = als_pb2.StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    common = entry.common_properties
    common.access_log_type = accesslog_pb2.AccessLogType.Value("UpstreamPoolReady")
    common.route_name, common.upstream_cluster = route, f"{key}-v1/pods"
    entry.request.request_headers[envoy_names.HEADER_ATTEMPT] = "1"
    return message


@pytest.mark.parametrize("key", ["team-a/churn", "team-a/uncounted", "uncounted/uncounted"])
def test_no_name_of_a_model_makes_its_requests_uncounted(key):
    traffic = TrafficCounters(lambda: 0.0)
    log = AccessLog(traffic)
    log.read(attempt(key, key))
    log.read(attempt(key, envoy_names.uncounted_route(key)))
    version = key.partition("/")[2] + "-v1"
    sample = traffic.take("g", 1.0, {}).models[key].versions[version]
    assert (sample.arrivals, sample.in_flight) == (1, 1)
