"""`kubectl modelfleet explain NAME`: why a model has the replicas that it has.

The verb reads the MLModel and, for a picture (`--plot`), the operator's metrics in a Prometheus.
The decision is the operator's; only the bounds are those of this moment, as a schedule may have
opened since. Must never compute a decision.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelfleet.cli.support import cluster
from modelfleet.cli.support.arguments import UsageError

MAX_HOURS = 24 * 31
MAX_MOMENTS = 1500
MIN_STEP_SECONDS = 5
ALWAYS_SHOWN = ("Ready", "ScalingActive", "MetricsAvailable")
BAD_CLAIMS = ("BudgetLimited", "Degraded", "Stalled")
"""Conditions that are False while all is well."""


def explain(arguments: list[str]) -> int:
    """Print the explanation of one model; exit code 1 when the model cannot be read."""
    parser = argparse.ArgumentParser("modelfleet explain", description=explain.__doc__)
    parser.add_argument("name", help="the model")
    cluster.add_arguments(parser)
    _of_a_picture(parser)
    chosen = parser.parse_args(arguments)
    try:
        model = _model(chosen)
    except (UsageError, ImportError) as fault:
        sys.stderr.write(f"modelfleet explain: {fault}\n")
        return 1
    sys.stdout.write("\n".join(lines(model, datetime.now(UTC))) + "\n")
    if chosen.plot is None:
        return 0
    try:
        write_picture(chosen, model["metadata"]["namespace"])
    except (UsageError, ImportError, OSError, ValueError) as fault:
        sys.stderr.write(f"modelfleet explain: {fault}\n")
        return 2
    return 0


def _model(chosen: argparse.Namespace) -> Mapping[str, Any]:
    """Return the MLModel from the API server; raises `UsageError` or ImportError with advice."""
    connection = cluster.Cluster(chosen.context)
    return connection.model(chosen.namespace or connection.namespace, chosen.name)


def _of_a_picture(parser: argparse.ArgumentParser) -> None:
    picture = parser.add_argument_group("a picture of the decisions")
    picture.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a picture (needs the extra 'plot')"
    )
    picture.add_argument(
        "--prometheus",
        metavar="URL",
        default=os.environ.get("MODELFLEET_PROMETHEUS_URL"),
        help="a Prometheus that scrapes the operator; MODELFLEET_PROMETHEUS_URL by default",
    )
    picture.add_argument(
        "--hours", type=float, default=6.0, metavar="H", help="hours up to now (6)"
    )


def write_picture(chosen: argparse.Namespace, namespace: str) -> None:
    """Write the picture; raises `UsageError` with the missing part."""
    from modelfleet.cli.support import decision_history, prometheus_series

    if not chosen.prometheus:
        raise UsageError(decision_history.NEEDED)
    if not 0 < chosen.hours <= MAX_HOURS:
        message = f"--hours must be above 0 and at most {MAX_HOURS}"
        raise UsageError(message)
    # No shorter than the time between decisions; no more moments than a picture can show.
    step = max(MIN_STEP_SECONDS, round(chosen.hours * 3600 / MAX_MOMENTS))
    span = prometheus_series.span_until_now(chosen.hours * 3600, step)
    server = prometheus_series.server_at(chosen.prometheus)
    history = decision_history.decisions(server, namespace, chosen.name, span)
    from modelfleet.cli.support import decision_picture

    decision_picture.draw_picture(history, chosen.plot)


def lines(model: Mapping[str, Any], now: datetime) -> list[str]:
    """Return the explanation of an MLModel object, line by line.

    `now` is the time for which schedules are open or closed.
    """
    meta, spec, status = model["metadata"], model.get("spec", {}), model.get("status", {})
    scaling = status.get("scaling")
    title = f"{meta['namespace']}/{meta['name']}"
    if status.get("stable"):
        title += f", version {status['stable']}"
    if scaling is None:
        return [title, "  nothing has been decided yet", *_claims(status)]
    numbers = (
        f"  {scaling['granted']} granted, {scaling['want']} wanted, {scaling['ready']} ready at the"
        f" decision; {_allowed(spec.get('scaling', {}), now)}"
    )
    why = [f"  {'because' if number == 0 else 'and':<8} {text}" for number, text in
           enumerate(scaling.get("why", []))]  # fmt: skip
    return [title, numbers, *why, *_rollout(status), *_claims(status)]


def _allowed(scaling: Mapping[str, Any], now: datetime) -> str:
    """Return the bounds and their reasons.

    Worked example: `4 to 10 allowed (schedule 'work': minReplicas)`.
    """
    from pydantic import ValidationError

    from modelfleet.api.scaling_spec import Scaling
    from modelfleet.core.scaling.schedules import bounds

    try:
        allowed = bounds(Scaling.model_validate(scaling), now)
    except ValidationError:  # a newer operator may have more fields than this command
        return f"{scaling.get('minReplicas', 1)} to {scaling.get('maxReplicas', 10)} by the spec"
    because = dict.fromkeys(why for why in (allowed.low_why, allowed.high_why) if why)
    text = f"{allowed.low} to {allowed.high} allowed"
    return f"{text} ({', '.join(because)})" if because else text


def _rollout(status: Mapping[str, Any]) -> list[str]:
    shown = []
    rollout = status.get("rollout")
    if rollout:
        candidate = status.get("candidate", "")
        shown.append(f"  rollout  {candidate}: {rollout['step']}, {rollout['why']}")
    if status.get("retained"):
        until = status.get("retainedUntil", "")
        shown.append(f"  warm     {status['retained']} keeps its replicas until {until}")
    return shown


def _claims(status: Mapping[str, Any]) -> list[str]:
    """Return one line for each condition that matters for the number of replicas.

    Ready, ScalingActive and MetricsAvailable are always shown, the bad ones while True, and
    RolledOut until the old version has gone.
    """
    shown = []
    for condition in status.get("conditions", []):
        kind = condition["type"]
        is_bad = kind in BAD_CLAIMS and condition["status"] == "True"
        is_under_way = kind == "RolledOut" and condition["reason"] != "Complete"
        if kind in ALWAYS_SHOWN or is_bad or is_under_way:
            text = f"  {condition['type']:<16} {condition['status']:<7} {condition['reason']}"
            text += f": {condition['message']}"
            shown.append(text.rstrip(": "))
    return shown
