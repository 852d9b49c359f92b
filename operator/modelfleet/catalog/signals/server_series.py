"""Canonical metrics: one name for what each model server calls differently.

Read by `prometheus.signal_reader`, which asks for each of them once for the whole fleet. To add a
runtime: its series in each list. `WINDOW` stands for the range of a rate.

Sources: vLLM's metrics page (`vllm:` series), Triton's (`nv_inference_` series), MLServer's (queue
sizes are histograms of what was seen at each dispatch), and `server.request_metrics` for our own.
"""

from collections.abc import Mapping

WINDOW = "[window]"
_PER_POD = "sum by (namespace, pod)"


def _gauge(*names: str) -> tuple[str, ...]:
    return tuple(f"{_PER_POD} ({name})" for name in names)


def _rate(*names: str) -> tuple[str, ...]:
    return tuple(f"{_PER_POD} (rate({name}{WINDOW}))" for name in names)


def _seen_mean(*names: str) -> tuple[str, ...]:
    """Mean of what a histogram saw; 0 where it saw nothing of late."""
    return tuple(
        f"{_PER_POD} (rate({name}_sum{WINDOW})) / ({_PER_POD} (rate({name}_count{WINDOW})) > 0)"
        f" or 0 * {_PER_POD} ({name}_count)"
        for name in names
    )


SERIES: Mapping[str, tuple[str, ...]] = {
    # By Little's law the rate of the time spent waiting is the mean number of those who wait.
    "QueueDepth": (
        *_gauge("vllm:num_requests_waiting", "nv_inference_pending_request_count"),
        *_seen_mean("parallel_request_queue", "batch_request_queue"),
        *_rate("modelfleet_server_wait_duration_seconds_sum"),
    ),
    "Tokens": (" + ".join(_rate("vllm:prompt_tokens_total", "vllm:generation_tokens_total")),),
    "Concurrency": (
        " + ".join(_gauge("vllm:num_requests_running", "vllm:num_requests_waiting")),
        f"{_PER_POD} (rate(nv_inference_request_duration_us{WINDOW})) / 1e6",
        *_rate("model_infer_request_duration_sum"),
        " + ".join(
            _rate(
                "modelfleet_server_inference_duration_seconds_sum",
                "modelfleet_server_wait_duration_seconds_sum",
            )
        ),
    ),
    "Requests": _rate(
        "vllm:request_success_total",
        "nv_inference_request_success",
        "model_infer_request_success_total",
        "modelfleet_server_inference_duration_seconds_count",
    ),
}
"""Name to what gives it by namespace and pod, an alternative for each kind of server."""

SCRAPED = "max by (namespace, pod) (up)"
"""1 for each pod that Prometheus reads, 0 for one that it cannot."""


def query_of(metric: str, window_seconds: int) -> str:
    """One query for the whole fleet; a pod counts by the first alternative that it has.

    Worked example: a vLLM and a Triton model: two series, each with the number of its server.
    """
    parts = (f"({one})" for one in SERIES[metric])
    return " or ".join(parts).replace(WINDOW, f"[{window_seconds}s]")
