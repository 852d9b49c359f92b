"""Metrics of the operator, all in one file; the reference page is generated from it.

All packages above `core` use them. Names follow the Prometheus naming rules: one prefix, base
units. Must never have a label without a bound.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from modelfleet.api.conditions import Condition, ConditionType

API_REQUESTS = Counter(
    "modelfleet_api_requests_total",
    "Requests to the API server by verb, kind and answer.",
    ["method", "kind", "code"],
)
WATCH_FAILURES = Counter(
    "modelfleet_watch_failures_total", "Watches that ended with an error, by kind.", ["kind"]
)
WATCH_SILENCE = Gauge(
    "modelfleet_watch_silence_seconds", "Time since a watch last received anything.", ["kind"]
)
TURNS = Counter("modelfleet_turns_total", "Turns by outcome.", ["outcome"])
TURN_SECONDS = Histogram(
    "modelfleet_turn_duration_seconds",
    "Duration of a turn.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
QUEUE_DEPTH = Gauge("modelfleet_queue_depth", "Models that wait for a turn.")
QUEUE_SECONDS = Histogram(
    "modelfleet_queue_wait_seconds",
    "Time from wake to turn.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
TICK_SECONDS = Histogram(
    "modelfleet_tick_duration_seconds",
    "Duration of a scaling pass.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
)
SCALING_SLOTS = Gauge(
    "modelfleet_scaling_slots",
    "Terms of a model's newest scaling decision in busy slots: load, start, keep, floor, cap,"
    " backlog.",
    ["namespace", "model", "term"],
)
SCALING_AIM = Gauge(
    "modelfleet_scaling_aim_ratio",
    "Share of requests that the error budget allows to break the objective now.",
    ["namespace", "model"],
)
SCALING_RISK = Gauge(
    "modelfleet_scaling_risk_ratio",
    "Risk of the chosen dial: probability of more demand than it provides for.",
    ["namespace", "model"],
)
SCALING_REPLICAS = Gauge(
    "modelfleet_scaling_replicas",
    "Replicas at a model's newest scaling decision: granted, ready, and the bounds (least, most).",
    ["namespace", "model", "state"],
)
REPLICA_SLOTS = Gauge(
    "modelfleet_model_replica_slots",
    "Requests that one replica works on at once: set in the spec, or learned.",
    ["namespace", "model"],
)
SERVICE_SECONDS = Gauge(
    "modelfleet_model_service_seconds",
    "Learned service time: seconds of a slot that one request needs.",
    ["namespace", "model"],
)
OVERLOAD = Gauge(
    "modelfleet_model_overload_ratio",
    "Arriving requests divided by those that are not refused, rounded; 1 without an overload.",
    ["namespace", "model"],
)
MODEL_CONDITION = Gauge(
    "modelfleet_model_condition",
    "1 while a condition of a model is True, else 0: Ready, Stalled, Degraded.",
    ["namespace", "model", "condition"],
)
SIGNALS_SECONDS = Histogram(
    "modelfleet_signals_read_duration_seconds",
    "Duration of one reading of all signals from Prometheus.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
MEMORY_SAVES = Counter(
    "modelfleet_memory_saves_total",
    "Writes of the autoscaler's memory file, by outcome.",
    ["outcome"],
)
LOOP_LAG = Gauge("modelfleet_loop_lag_seconds", "Delay of the timers of the event loop.")
IS_LEADER = Gauge("modelfleet_leader", "1 while this process holds the Lease.")
BREACHES = Counter(
    "modelfleet_plans_refused_total", "Plans that broke an invariant, by invariant.", ["invariant"]
)
EVENTS_DROPPED = Counter("modelfleet_events_dropped_total", "Events that could not be posted.")
MODELS = Gauge("modelfleet_models", "MLModel objects in memory.")
GATEWAY_SILENT = Gauge("modelfleet_gateways_silent", "Gateways without a live stream.")


OF_DECISIONS = (
    *(SCALING_SLOTS, SCALING_REPLICAS, SCALING_AIM, SCALING_RISK),
    *(SERVICE_SECONDS, REPLICA_SLOTS),
)
"""14 series that the scaling pass sets."""
OF_MODELS = (*OF_DECISIONS, OVERLOAD, MODEL_CONDITION)
"""18 series for each model with traffic; fewer than 200 other series in total."""
SHOWN_CONDITIONS = frozenset({ConditionType.READY, ConditionType.STALLED, ConditionType.DEGRADED})
"""Those that alerts ask for; each costs a series for each model."""


def show_conditions(namespace: str, name: str, conditions: Iterable[Condition]) -> None:
    """Set the gauge of each condition that is shown; each turn calls it (5 microseconds).

    No memory of the last values: after a change of the leader all series must come back.
    """
    for condition in conditions:
        if condition.type in SHOWN_CONDITIONS:
            series = MODEL_CONDITION.labels(namespace, name, condition.type)
            series.set(condition.status == "True")


def forget_model(namespace: str, name: str) -> None:
    """Remove the series of a model that was deleted."""
    labels = {"namespace": namespace, "model": name}
    for metric in OF_MODELS:
        metric.remove_by_labels(labels)


def forget_decisions(namespace: str, name: str) -> None:
    """Remove the series of a model's scaling decisions; a successor of its name keeps the rest."""
    labels = {"namespace": namespace, "model": name}
    for metric in OF_DECISIONS:
        metric.remove_by_labels(labels)


def forget_models() -> None:
    """Remove the series of all models: this process does not lead any more."""
    for metric in OF_MODELS:
        metric.clear()
