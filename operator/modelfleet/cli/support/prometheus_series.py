"""Series of a Prometheus for the command line: queried in parts, on even time steps.

`decision_history` and `trace_from_prometheus` read them. Every error becomes a `UsageError` with
advice. Must never write anywhere.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelfleet.cli.support.arguments import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelfleet.prometheus.connection import PrometheusServer

    Column = NDArray[np.float64]

PATIENCE_SECONDS = 30.0
MAX_POINTS = 10_000
"""Points of one query; Prometheus answers with at most 11,000 for each series."""
MAX_WORDS = 120
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Moments `begin`, `begin` + `step`, ... up to `end`; seconds of the wall clock."""

    begin: int
    end: int
    step: int

    @property
    def size(self) -> int:
        """Number of moments."""
        return (self.end - self.begin) // self.step + 1


def span_until_now(
    seconds: float, step_seconds: int, clock: Callable[[], float] = time.time
) -> TimeSpan:
    """Return the last `seconds` seconds.

    The moments are multiples of the step, so that a repeated query gets the same answers.
    """
    end = int(clock()) // step_seconds * step_seconds
    steps = max(1, int(seconds // step_seconds))
    return TimeSpan(end - (steps - 1) * step_seconds, end, step_seconds)


def server_at(url: str) -> "PrometheusServer":
    """Return the Prometheus at this address; raises `UsageError`.

    A token and certificates come from the files that the operator's settings name, if any.
    """
    if not url.startswith(("http://", "https://")) or len(url.split("://", 1)[1]) == 0:
        message = f"'{url}' is no address of a Prometheus; write it as http://HOST:9090"
        raise UsageError(message)
    try:
        from modelfleet.prometheus.connection import PrometheusAccess, PrometheusServer
    except ImportError as fault:
        message = "queries to Prometheus need prometheus-api-client: install 'modelfleet[cli]'"
        raise UsageError(message) from fault
    access = PrometheusAccess(
        token_file=os.environ.get("MODELFLEET_PROMETHEUS_TOKEN_FILE", ""),
        ca_file=os.environ.get("MODELFLEET_PROMETHEUS_CA_FILE", ""),
    )
    return PrometheusServer(url, PATIENCE_SECONDS, access)


def read_series(
    server: "PrometheusServer", query: str, span: TimeSpan
) -> "Mapping[Labels, Column]":
    """Return the numbers (span.size,) of each series of a query; raises `UsageError`.

    A moment without a number is NaN.
    """
    import numpy as np

    from modelfleet.prometheus.queries import QueryRejected, ServerSilent

    series: dict[Labels, Column] = {}
    try:
        for low in range(0, span.size, MAX_POINTS):
            high = min(low + MAX_POINTS, span.size) - 1
            begin, end = (span.begin + index * span.step for index in (low, high))
            for row in server.ask_range(query, begin, end, span.step):
                labels = tuple(sorted(row.get("metric", {}).items()))
                if labels not in series:
                    series[labels] = np.full(span.size, np.nan)
                _put(series[labels], row.get("values", ()), span)
    except QueryRejected as fault:
        message = f"Prometheus refuses the query: {fault}"
        raise UsageError(message) from fault
    except ServerSilent as fault:
        why = str(fault).split("(")[0].strip()[:MAX_WORDS]
        message = f"Prometheus does not answer; check that it runs at this address ({why})"
        raise UsageError(message) from fault
    return series


def _put(column: "Column", values: Any, span: TimeSpan) -> None:
    for at, value in values:
        index = round((float(at) - span.begin) / span.step)
        if 0 <= index < span.size:
            column[index] = float(value)
