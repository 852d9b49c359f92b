"""Dashboards for Grafana, each a list of panels; `chart.generate` writes them as JSON.

A scraper may rename a model's label `namespace` to `exported_namespace`: each query takes both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

COLUMNS, WIDTH, HEIGHT = 3, 8, 7
SOURCE = {"type": "prometheus", "uid": "${source}"}
PLACE = '"namespace", "$1", "exported_namespace", "(.+)"'
MOVED, KEPT = 'exported_namespace="$namespace"', 'namespace="$namespace",exported_namespace=""'


@dataclass(frozen=True)
class Panel:
    """A picture of some queries, each with the name of its lines. `unit` is one of Grafana's."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


def rate(metric: str) -> str:
    """Its growth per second."""
    return f"rate({metric}[$__rate_interval])"


def by_model(how: str, query: str) -> str:
    """One line for each model."""
    return f"{how} by (namespace, model) (label_replace({query}, {PLACE}))"


def most(query: str) -> str:
    """Ten models are enough for a picture."""
    return f"topk(10, {query})"


def of_model(metric: str, more: str = "") -> str:
    """The series of the chosen model."""
    place = [f'{metric}{{model="$model",{each}{more}}}' for each in (MOVED, KEPT)]
    return " or ".join(place)


def rate_of_model(metric: str, by: str) -> str:
    """Growth per second of the chosen model's counter, one line for each `by`."""
    both = " or ".join(rate(part) for part in of_model(metric).split(" or "))
    return f"sum by ({by}) ({both})"


def late(metric: str) -> str:
    """The time within which 99 of 100 are done."""
    return f"histogram_quantile(0.99, sum by (le) ({rate(f'{metric}_bucket')}))"


REQUESTS = "modelfleet_gateway_requests_total"
FAILED = REQUESTS + '{class=~"5xx|reset"}'
SHARE = f"{by_model('sum', rate(FAILED))} / {by_model('sum', rate(REQUESTS))}"
OF_AGENTS = "and on (job, instance) modelfleet_gateway_log_entries_total"
MODEL, INSTANCE = "{{namespace}}/{{model}}", "{{instance}}"


def stat(title: str, query: str) -> Panel:
    """One number."""
    return Panel(title, "short", ((query, ""),), "stat")


def lines(title: str, unit: str, query: str, name: str = "") -> Panel:
    """The lines of one query."""
    return Panel(title, unit, ((query, name),))


FLEET = (
    stat("Models", "max(modelfleet_models)"),
    stat("Models not ready", 'sum(modelfleet_model_condition{condition="Ready"} == bool 0)'),
    stat("Models stalled", 'sum(modelfleet_model_condition{condition="Stalled"})'),
    stat("Operators that lead", "sum(modelfleet_leader)"),
    stat("Silent gateways", "max(modelfleet_gateways_silent)"),
    stat("Plans refused", "sum(modelfleet_plans_refused_total)"),
    lines("Requests", "reqps", most(by_model("sum", rate(REQUESTS))), MODEL),
    lines("Share of failed requests", "percentunit", most(SHARE), MODEL),
    lines("Overload", "short", most(by_model("max", "modelfleet_model_overload_ratio")), MODEL),
    lines("Held", "short", most(by_model("sum", "modelfleet_gateway_held_requests")), MODEL),
    lines("Replicas", "short", "sum by (state) (modelfleet_scaling_replicas)", "{{state}}"),
    lines("Turns", "ops", f"sum by (outcome) ({rate('modelfleet_turns_total')})", "{{outcome}}"),
    Panel(
        "A turn: wait and duration, 99 of 100",
        "s",
        (
            (late("modelfleet_queue_wait_seconds"), "wait"),
            (late("modelfleet_turn_duration_seconds"), "duration"),
        ),
    ),
    lines(
        "Requests to the API server",
        "reqps",
        f"sum by (method, code) ({rate('modelfleet_api_requests_total')})",
        "{{method}} {{code}}",
    ),
    lines(
        "Delay of the event loop", "s", "max by (instance) (modelfleet_loop_lag_seconds)", INSTANCE
    ),
)
ONE_MODEL = (
    lines("Answers", "reqps", rate_of_model(REQUESTS, "class"), "{{class}}"),
    lines(
        "Requests by version",
        "reqps",
        rate_of_model("modelfleet_gateway_arrivals_total", "version"),
        "{{version}}",
    ),
    lines(
        "Failed attempts at replicas",
        "reqps",
        rate_of_model("modelfleet_gateway_failed_attempts_total", "version"),
        "{{version}}",
    ),
    Panel(
        "Refused",
        "reqps",
        (
            (rate_of_model("modelfleet_gateway_refusals_total", "version"), "overload {{version}}"),
            (rate_of_model("modelfleet_gateway_hold_refusals_total", "reason"), "{{reason}}"),
        ),
    ),
    Panel(
        "Requests now",
        "short",
        (
            (f"sum({of_model('modelfleet_gateway_requests_in_flight')})", "at replicas"),
            (f"sum({of_model('modelfleet_gateway_held_requests')})", "on hold"),
        ),
    ),
    lines("Conditions", "bool", of_model("modelfleet_model_condition"), "{{condition}}"),
    lines("Replicas", "short", of_model("modelfleet_scaling_replicas"), "{{state}}"),
    lines("Service time", "s", of_model("modelfleet_model_service_seconds"), "service time"),
    lines(
        "Requests that broke replicas",
        "reqps",
        rate_of_model("modelfleet_gateway_queries_of_death_total", "model"),
        "{{model}}",
    ),
)
GATEWAYS = (
    lines("Requests", "reqps", f"sum by (instance) ({rate(REQUESTS)})", INSTANCE),
    lines("Failed", "reqps", f"sum by (instance) ({rate(FAILED)})", INSTANCE),
    lines(
        "At replicas",
        "short",
        "sum by (instance) (modelfleet_gateway_requests_in_flight)",
        INSTANCE,
    ),
    lines("On hold", "short", "sum by (instance) (modelfleet_gateway_held_requests)", INSTANCE),
    lines(
        "Refused: overload",
        "reqps",
        f"sum by (instance) ({rate('modelfleet_gateway_refusals_total')})",
        INSTANCE,
    ),
    lines(
        "To unknown hosts", "reqps", rate("modelfleet_gateway_unrouted_requests_total"), INSTANCE
    ),
    lines("CPU of agents", "short", f"{rate('process_cpu_seconds_total')} {OF_AGENTS}", INSTANCE),
    lines("Memory of agents", "bytes", f"process_resident_memory_bytes {OF_AGENTS}", INSTANCE),
    lines(
        "Watches that failed",
        "ops",
        f"sum by (instance, kind) ({rate('modelfleet_watch_failures_total')})",
        "{{instance}} {{kind}}",
    ),
)
AUTOSCALER = (
    lines(
        "Terms of the decision, in slots", "short", of_model("modelfleet_scaling_slots"), "{{term}}"
    ),
    lines("Replicas", "short", of_model("modelfleet_scaling_replicas"), "{{state}}"),
    lines("Slots of a replica", "short", of_model("modelfleet_model_replica_slots"), "slots"),
    Panel(
        "Risk and error budget",
        "percentunit",
        (
            (of_model("modelfleet_scaling_risk_ratio"), "risk"),
            (of_model("modelfleet_scaling_aim_ratio"), "budget"),
        ),
    ),
    lines("Service time", "s", of_model("modelfleet_model_service_seconds"), "service time"),
    lines("Overload", "short", of_model("modelfleet_model_overload_ratio"), "arrivals / accepted"),
    lines("A scaling pass, 99 of 100", "s", late("modelfleet_tick_duration_seconds"), "duration"),
    lines(
        "Signals read, 99 of 100", "s", late("modelfleet_signals_read_duration_seconds"), "duration"
    ),
    lines(
        "Saves of the memory in an hour",
        "short",
        "sum by (outcome) (increase(modelfleet_memory_saves_total[1h]))",
        "{{outcome}}",
    ),
)
DASHBOARDS = {
    "fleet": FLEET,
    "model": ONE_MODEL,
    "gateway": GATEWAYS,
    "autoscaler": AUTOSCALER,
}
CHOICES = {
    "namespace": by_model("count", "modelfleet_model_condition"),
    "model": f"count by (model) ({of_model('modelfleet_model_condition')})",
}
"""Queries whose series name what a reader can choose."""


def dashboard(name: str) -> dict[str, Any]:
    """One dashboard as Grafana reads it."""
    panels = DASHBOARDS[name]
    has_model = any("$model" in query for panel in panels for query, _ in panel.queries)
    source = {"name": "source", "type": "datasource", "query": "prometheus"}
    choices = [_choice(label, query) for label, query in CHOICES.items()] if has_model else []
    return {
        "title": f"modelfleet / {name}",
        "uid": f"modelfleet-{name}",
        "tags": ["modelfleet"],
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source, *choices]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _choice(label: str, query: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": f"query_result({query})",
        "regex": f'/{label}="([^"]+)"/',
        "refresh": 2,
        "sort": 1,
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": name}
            for index, (query, name) in enumerate(panel.queries)
        ],
    }


def texts() -> dict[str, str]:
    """The files by name."""
    return {f"{name}.json": json.dumps(dashboard(name), indent=1) + "\n" for name in DASHBOARDS}
