"""Every metric of the operator, in one file; the reference page is generated from it.

Used everywhere above `core`. Names follow the Prometheus naming rules: one prefix, base units.
Must never carry a label without a bound.
"""

from prometheus_client import Counter, Gauge, Histogram

API_REQUESTS = Counter(
    "modelfleet_api_requests_total",
    "Requests to the API server by verb, kind and answer.",
    ["method", "kind", "code"],
)
WATCH_FAILURES = Counter(
    "modelfleet_watch_failures_total", "Watches that ended with an error, by kind.", ["kind"]
)
WATCH_SILENCE = Gauge(
    "modelfleet_watch_silence_seconds", "Time since a watch's last sign of life.", ["kind"]
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
    "Share of requests that the error budget allows to break the promise now.",
    ["namespace", "model"],
)
SCALING_RISK = Gauge(
    "modelfleet_scaling_risk_ratio",
    "Risk of more demand than forecast that the followed candidate takes.",
    ["namespace", "model"],
)
SCALING_REPLICAS = Gauge(
    "modelfleet_scaling_replicas",
    "Replicas at a model's newest scaling decision: granted, ready, and the least and the most"
    " that are allowed.",
    ["namespace", "model", "state"],
)
REPLICA_SLOTS = Gauge(
    "modelfleet_model_replica_slots",
    "Requests at once that one replica of a model is counted for.",
    ["namespace", "model"],
)
SERVICE_SECONDS = Gauge(
    "modelfleet_model_service_seconds",
    "Learned time of a slot that one request needs.",
    ["namespace", "model"],
)
OVERLOAD = Gauge(
    "modelfleet_model_overload_ratio",
    "Requests that come over those that are not refused, rounded; 1 without an overload.",
    ["namespace", "model"],
)
SIGNALS_SECONDS = Histogram(
    "modelfleet_signals_read_duration_seconds",
    "Duration of one reading of all signals from Prometheus.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
MEMORY_SAVES = Counter(
    "modelfleet_memory_saves_total",
    "Times that what the autoscaler has learned was written to the file, by outcome.",
    ["outcome"],
)
LOOP_LAG = Gauge("modelfleet_loop_lag_seconds", "How late the event loop runs its timers.")
IS_LEADER = Gauge("modelfleet_leader", "1 while this process holds the Lease.")
BREACHES = Counter(
    "modelfleet_plans_refused_total", "Plans that broke an invariant, by invariant.", ["invariant"]
)
EVENTS_DROPPED = Counter("modelfleet_events_dropped_total", "Events that could not be posted.")
MODELS = Gauge("modelfleet_models", "MLModel objects in memory.")
GATEWAY_SILENT = Gauge("modelfleet_gateways_silent", "Gateways without a live stream.")


OF_MODELS = (
    *(SCALING_SLOTS, SCALING_REPLICAS, SCALING_AIM, SCALING_RISK),
    *(SERVICE_SECONDS, REPLICA_SLOTS, OVERLOAD),
)
"""16 series for each model with traffic, all others together less than 200."""


def forget_model(namespace: str, name: str) -> None:
    """The series of a model that is gone."""
    labels = {"namespace": namespace, "model": name}
    for metric in OF_MODELS:
        metric.remove_by_labels(labels)
