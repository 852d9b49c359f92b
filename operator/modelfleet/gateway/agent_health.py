"""Readiness, liveness and metrics of the agent.

Run by `agent`. Ready means: caches complete and a first whole configuration acknowledged by the
own Envoy; not ready again as soon as the pod is to stop. Series are bounded by the models that
exist. Must never block.
"""

from collections.abc import Callable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelfleet.gateway.requests.counters import TrafficCounters

_VERSION = ["namespace", "model", "version"]
_MODEL = ["namespace", "model"]


class TrafficCollector(Collector):
    """The counts of `TrafficCounters` as Prometheus metrics, made when somebody asks."""

    def __init__(self, traffic: TrafficCounters, held: Callable[[], Mapping[str, int]]) -> None:
        """`held` gives parked requests by model."""
        self._traffic = traffic
        self._held = held

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._of_versions()
        yield from self._of_models()
        entries = CounterMetricFamily(
            "modelfleet_gateway_log_entries", "Access log entries received."
        )
        entries.add_metric([], self._traffic.entries)
        unknown = CounterMetricFamily(
            "modelfleet_gateway_unrouted_requests", "Requests that no model was found for."
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
            "Attempts at a replica that failed, also where a retry hid it.",
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
            labels = [*model.split("/", 1), version]
            arrived.add_metric(labels, totals.arrivals)
            failed.add_metric(labels, totals.failed_attempts)
            refused.add_metric(labels, totals.refused)
            flight.add_metric(labels, now)
            for outcome, number in sorted(totals.completions.items()):
                done.add_metric([*labels, outcome], number)
        yield from (done, arrived, failed, refused, flight)

    def _of_models(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "modelfleet_gateway_held_requests", "Requests parked at this agent.", labels=_MODEL
        )
        for model, number in sorted(self._held().items()):
            held.add_metric(model.split("/", 1), number)
        deadly = CounterMetricFamily(
            "modelfleet_gateway_queries_of_death",
            "Requests that two replicas broke off on.",
            labels=_MODEL,
        )
        for model, number in sorted(self._traffic.deadly.items()):
            deadly.add_metric(model.split("/", 1), number)
        refused = CounterMetricFamily(
            "modelfleet_gateway_hold_refusals",
            "Requests that were not held (any longer), by reason.",
            labels=[*_MODEL, "reason"],
        )
        for (model, reason), number in sorted(self._traffic.refused.items()):
            refused.add_metric([*_split(model), reason], number)
        yield from (held, deadly, refused)


def _split(model: str) -> list[str]:
    namespace, _, name = model.partition("/")
    return [namespace, name]


class AgentHealth:
    """The HTTP endpoints."""

    def __init__(self, is_ready: Callable[[], str], collector: Collector) -> None:
        """`is_ready` gives why not, or an empty string."""
        self._is_ready = is_ready
        self._registry = CollectorRegistry()
        self._registry.register(collector)

    def application(self) -> web.Application:
        """`/readyz`, `/healthz` and `/metrics`."""
        application = web.Application()
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _readyz(self, _: web.Request) -> web.Response:
        why = self._is_ready()
        return web.Response(text=why or "ready", status=503 if why else 200)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive")

    async def _metrics(self, _: web.Request) -> web.Response:
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
