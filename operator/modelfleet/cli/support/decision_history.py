"""Recorded history of a model's scaling decisions, read from a Prometheus.

`decision_picture` draws the history. The terms are those that the operator published
(`scaling.decision_metrics`). The deciding term of each moment is derived from these terms. Must
never decide anything anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.prometheus_series import TimeSpan, read_series

if TYPE_CHECKING:
    from modelfleet.cli.support.prometheus_series import Column
    from modelfleet.prometheus.connection import PrometheusServer

REASONS = (
    "the forecast to start",
    "the forecast to keep",
    "a share of the recent peak",
    "at most the day's highest",
    "requests that wait",
    "minReplicas",
    "maxReplicas",
    "scale-down wait, signal or by hand",
)
"""Reasons by the number that `bound` returns."""
_FORECAST, _KEEP, _FLOOR, _CAP, _BACKLOG, _LEAST, _MOST, _HELD = range(len(REASONS))
_TERMS = ("load", "start", "keep", "floor", "cap", "backlog")
_STATES = ("granted", "ready", "least", "most")
_SINGLE = {
    "aim": "modelfleet_scaling_aim_ratio",
    "risk": "modelfleet_scaling_risk_ratio",
    "slots": "modelfleet_model_replica_slots",
}
NEEDED = (
    "a picture needs a Prometheus that scrapes the operator (port 9446, /metrics): give its address"
    " with --prometheus URL, or set MODELFLEET_PROMETHEUS_URL"
)


@dataclass(frozen=True, slots=True)
class Decisions:
    """Columns by name, one number for each moment of `span`; NaN where no value was recorded.

    `load`, `start`, `keep`, `floor`, `cap`, `backlog` are busy slots. `granted`, `ready`, `least`,
    `most` are replicas. `slots` are those of one replica. `aim` and `risk` are shares.
    """

    title: str
    span: TimeSpan
    columns: "Mapping[str, Column]"

    def bound(self) -> "Column":
        """Return the number of the reason in `REASONS` that decided the granted replicas.

        One number for each moment; NaN where a term is missing.
        """
        import numpy as np

        of = self.columns
        slots = np.maximum(of["slots"], 1e-3)
        up = np.ceil(np.fmax(of["start"], of["backlog"]) / slots - 1e-4)
        keep = np.ceil(np.fmax(of["start"], of["keep"]) / slots - 1e-4)
        granted = of["granted"]
        claims = (
            (np.isnan(granted) | np.isnan(up), np.nan),
            ((granted >= of["most"]) & (up > granted), _MOST),
            ((granted <= of["least"]) & (up < granted), _LEAST),
            (granted > np.maximum(keep, up), _HELD),
            (granted > up, _KEEP),
            (of["backlog"] > of["start"], _BACKLOG),
            ((of["start"] >= of["cap"]) & (of["cap"] > 0), _CAP),
            ((of["start"] <= of["floor"]) & (of["start"] > 0), _FLOOR),
        )
        return np.select([np.asarray(claim) for claim, _ in claims], [x for _, x in claims], 0.0)


def decisions(server: "PrometheusServer", namespace: str, name: str, span: TimeSpan) -> Decisions:
    """Return the history of a model's decisions from a Prometheus; raises `UsageError`."""
    import numpy as np

    unknown = np.full(span.size, np.nan)
    columns = dict.fromkeys((*_TERMS, *_STATES, *_SINGLE), unknown)
    columns |= _by(server, "modelfleet_scaling_slots", "term", (namespace, name), span)
    columns |= _by(server, "modelfleet_scaling_replicas", "state", (namespace, name), span)
    for column, metric in _SINGLE.items():
        series = read_series(server, f"max({_selected(metric, namespace, name)})", span)
        columns[column] = next(iter(series.values()), unknown)
    if all(np.isnan(columns[term]).all() for term in _TERMS):
        hours = (span.end - span.begin) / 3600
        message = (
            f"this Prometheus has no modelfleet_scaling_slots of {namespace}/{name} in the last"
            f" {hours:.3g} h; the Prometheus must scrape the operator (port 9446, /metrics), and"
            " the model must have had requests"
        )
        raise UsageError(message)
    return Decisions(f"{namespace}/{name}", span, columns)


def _by(
    server: "PrometheusServer", metric: str, label: str, model: tuple[str, str], span: TimeSpan
) -> "dict[str, Column]":
    """Return one column for each value of a label."""
    series = read_series(server, f"max by ({label}) ({_selected(metric, *model)})", span)
    return {dict(labels).get(label, ""): numbers for labels, numbers in series.items()}


def _selected(metric: str, namespace: str, name: str) -> str:
    """Return a query for the model's series.

    A scraper may rename our label `namespace` to `exported_namespace`; the query matches both.
    """
    moved = f'{metric}{{model="{name}",exported_namespace="{namespace}"}}'
    return f'{moved} or {metric}{{model="{name}",namespace="{namespace}",exported_namespace=""}}'
