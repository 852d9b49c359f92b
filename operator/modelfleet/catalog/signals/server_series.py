"""Canonical metrics: one name for one number, over the series of several model servers.

`prometheus.signal_reader` reads each of them once for all models. A new server needs its series in
each list. `WINDOW` stands for the range of a rate.

Sources: vLLM's metrics page (`vllm:` series), Triton's (`nv_inference_` series), MLServer's (queue
sizes are histograms of the size at each dispatch), and `server.request_metrics` for our own.
"""

from collections.abc import Mapping

WINDOW = "[window]"
_PER_POD = "sum by (namespace, pod)"


def _gauge(*names: str) -> tuple[str, ...]:
    return tuple(f"{_PER_POD} ({name})" for name in names)


def _rate(*names: str) -> tuple[str, ...]:
    return tuple(f"{_PER_POD} (rate({name}{WINDOW}))" for name in names)


def _histogram_mean(*names: str) -> tuple[str, ...]:
    """Return the mean of a histogram's recent values; 0 where it has no recent value."""
    return tuple(
        f"{_PER_POD} (rate({name}_sum{WINDOW})) / ({_PER_POD} (rate({name}_count{WINDOW})) > 0)"
        f" or 0 * {_PER_POD} ({name}_count)"
        for name in names
    )


SERIES: Mapping[str, tuple[str, ...]] = {
    # By Little's law the rate of the time spent waiting is the mean number of waiting requests.
    "QueueDepth": (
        *_gauge("vllm:num_requests_waiting", "nv_inference_pending_request_count"),
        *_histogram_mean("parallel_request_queue", "batch_request_queue"),
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
"""Canonical name to queries by namespace and pod, one alternative for each kind of server."""

SCRAPED = "max by (namespace, pod) (up)"
"""1 for each pod that Prometheus scrapes, 0 for one whose scrapes fail."""


def query_of(metric: str, window_seconds: int) -> str:
    """Return one query for all models; a pod counts by the first alternative that has its series.

    Worked example: a vLLM and a Triton model: two series, each with the number of its server.
    """
    parts = (f"({alternative})" for alternative in SERIES[metric])
    return " or ".join(parts).replace(WINDOW, f"[{window_seconds}s]")
