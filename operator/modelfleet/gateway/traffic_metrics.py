"""Metrics of one gateway's traffic, made when Prometheus reads them.

`agent` registers the collector. The number of series is bounded by the models that exist. Must
never block.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from modelfleet.facts.identity import Key
from modelfleet.gateway.requests.counters import TrafficCounters
from modelfleet.telemetry import metrics

_VERSION = ["namespace", "model", "version"]
_MODEL = ["namespace", "model"]


def agent_registry(
    traffic: TrafficCounters, held: Callable[[], Mapping[str, int]]
) -> CollectorRegistry:
    """Return all that an agent exposes: its traffic, its watches and its process."""
    registry = CollectorRegistry()
    registry.register(TrafficCollector(traffic, held))
    registry.register(metrics.WATCH_FAILURES)
    ProcessCollector(registry=registry)
    return registry


class TrafficCollector(Collector):
    """The counts of `TrafficCounters` as Prometheus metrics, made at each read."""

    def __init__(self, traffic: TrafficCounters, held: Callable[[], Mapping[str, int]]) -> None:
        """`held` gives held requests by model."""
        self._traffic = traffic
        self._held = held

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield from self._of_versions()
        yield from self._of_models()
        entries = CounterMetricFamily(
            "modelfleet_gateway_log_entries", "Access log entries received."
        )
        entries.add_metric([], self._traffic.entries)
        unknown = CounterMetricFamily(
            "modelfleet_gateway_unrouted_requests", "Requests to a host that no model has."
        )
        unknown.add_metric([], self._traffic.unknown)
        yield entries
        yield unknown

    def _of_versions(self) -> Iterator[Metric]:
        done = CounterMetricFamily(
            "modelfleet_gateway_requests",
            "Completed requests by class of the answer.",
            labels=[*_VERSION, "class"],
        )
        arrived = CounterMetricFamily(
            "modelfleet_gateway_arrivals", "Requests that began.", labels=_VERSION
        )
        failed = CounterMetricFamily(
            "modelfleet_gateway_failed_attempts",
            "Attempts at a replica that failed, with those that a retry repaired.",
            labels=_VERSION,
        )
        refused = CounterMetricFamily(
            "modelfleet_gateway_refusals",
            "Requests answered with 503 and Retry-After: they would have waited too long.",
            labels=_VERSION,
        )
        flight = GaugeMetricFamily(
            "modelfleet_gateway_requests_in_flight", "Requests at replicas now.", labels=_VERSION
        )
        for model, version, totals, now in self._traffic.totals():
            labels = [*Key.parse(model), version]
            arrived.add_metric(labels, totals.arrivals)
            failed.add_metric(labels, totals.failed_attempts)
            refused.add_metric(labels, totals.refused)
            flight.add_metric(labels, now)
            for outcome, number in sorted(totals.completions.items()):
                done.add_metric([*labels, outcome], number)
        yield from (done, arrived, failed, refused, flight)

    def _of_models(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "modelfleet_gateway_held_requests", "Requests held at this agent.", labels=_MODEL
        )
        _add(held, self._held())
        deadly = CounterMetricFamily(
            "modelfleet_gateway_queries_of_death",
            "Requests that broke off replicas; no further replica gets them.",
            labels=_MODEL,
        )
        _add(deadly, self._traffic.deadly)
        refused = CounterMetricFamily(
            "modelfleet_gateway_hold_refusals",
            "Requests that the agent refused instead of holding them, by reason.",
            labels=[*_MODEL, "reason"],
        )
        for (model, reason), number in sorted(self._traffic.refused.items()):
            refused.add_metric([*Key.parse(model), reason], number)
        uncounted = CounterMetricFamily(
            "modelfleet_gateway_uncounted_requests",
            "Requests that `traffic.uncounted` declares not to count.",
            labels=_MODEL,
        )
        _add(uncounted, self._traffic.uncounted)
        yield from (held, deadly, refused, uncounted)


def _add(metric: GaugeMetricFamily | CounterMetricFamily, counts: Mapping[str, float]) -> None:
    """Add one series for each model, `namespace/name`."""
    for model, number in sorted(counts.items()):
        metric.add_metric(Key.parse(model), number)
