"""`kubectl modelfleet explain NAME`: why a model has the replicas that it has.

Reads the MLModel, and for a picture (`--plot`) the operator's metrics in a Prometheus. Must never
compute a decision: what it says was decided by the operator and stands there. Only the bounds are
those of this moment, since a schedule may have opened since.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelfleet.api import names
from modelfleet.cli.support.arguments import UsageError

PATIENCE_SECONDS = 10
MAX_HOURS = 24 * 31
MAX_MOMENTS = 1500
MIN_STEP_SECONDS = 5
SCALING_CLAIMS = ("Ready", "ScalingActive", "MetricsAvailable", "BudgetLimited", "Degraded")


def explain(arguments: list[str]) -> int:
    """Print the explanation of one model; exit code 1 when it cannot be read."""
    parser = argparse.ArgumentParser("modelfleet explain", description=explain.__doc__)
    parser.add_argument("name", help="the model")
    parser.add_argument("-n", "--namespace", help="its namespace; the context's by default")
    parser.add_argument("--context", help="context of the kubeconfig")
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
    """The MLModel as the API server has it; raises `UsageError` or ImportError with what to do."""
    # Only this verb talks to a cluster; the others start without the client.
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
        from urllib3.exceptions import HTTPError
    except ImportError as fault:
        message = f"needs the Kubernetes client ({fault}): install 'modelfleet[cli]'"
        raise ImportError(message) from fault
    try:
        config.load_kube_config(context=chosen.context)
        namespace = chosen.namespace or _namespace(config, chosen.context)
        found: Mapping[str, Any] = client.CustomObjectsApi().get_namespaced_custom_object(
            names.GROUP,
            names.API_VERSION.rsplit("/", 1)[-1],
            namespace,
            names.MODEL_PLURAL,
            chosen.name,
            _request_timeout=PATIENCE_SECONDS,
        )
    except ConfigException as fault:
        message = f"no usable kubeconfig: {fault}"
        raise UsageError(message) from fault
    except client.ApiException as fault:
        message = f"{namespace}/{chosen.name}: {fault.reason}"
        raise UsageError(message) from fault
    except HTTPError as fault:
        server = client.Configuration.get_default_copy().host
        why = type(getattr(fault, "reason", None) or fault).__name__
        message = (
            f"the API server {server} does not answer ({why}); see that it runs and can be reached"
            " from here, or choose another with --context or KUBECONFIG"
        )
        raise UsageError(message) from fault
    return found


def _of_a_picture(parser: argparse.ArgumentParser) -> None:
    made = parser.add_argument_group("a picture of its decisions")
    made.add_argument(
        "--plot", type=Path, metavar="FILE", help="write it there (needs the extra 'plot')"
    )
    made.add_argument(
        "--prometheus",
        metavar="URL",
        default=os.environ.get("MODELFLEET_PROMETHEUS_URL"),
        help="a Prometheus that scrapes the operator; MODELFLEET_PROMETHEUS_URL by default",
    )
    made.add_argument("--hours", type=float, default=6.0, metavar="H", help="up to now (6)")


def write_picture(chosen: argparse.Namespace, namespace: str) -> None:
    """Write the picture; raises UsageError with what is missing."""
    from modelfleet.cli.support import decision_history, prometheus_series

    if not chosen.prometheus:
        raise UsageError(decision_history.NEEDED)
    if not 0 < chosen.hours <= MAX_HOURS:
        message = f"--hours must be above 0 and at most {MAX_HOURS}"
        raise UsageError(message)
    # Not finer than decisions are made, and not more moments than a picture can show.
    step = max(MIN_STEP_SECONDS, round(chosen.hours * 3600 / MAX_MOMENTS))
    span = prometheus_series.span_until_now(chosen.hours * 3600, step)
    server = prometheus_series.server_at(chosen.prometheus)
    found = decision_history.decisions(server, namespace, chosen.name, span)
    from modelfleet.cli.support import decision_picture

    decision_picture.draw_picture(found, chosen.plot)


def _namespace(config: Any, context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts()
    chosen = next((c for c in contexts if c["name"] == context), active)
    return str(chosen["context"].get("namespace", "default"))


def lines(model: Mapping[str, Any], now: datetime) -> list[str]:
    """The explanation, line by line, of an MLModel object; `now` says which schedules are open."""
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
    """Worked example: `4 to 10 allowed (schedule 'work': minReplicas)`."""
    from pydantic import ValidationError

    from modelfleet.api.scaling_spec import Scaling
    from modelfleet.core.scaling.schedules import bounds

    try:
        found = bounds(Scaling.model_validate(scaling), now)
    except ValidationError:  # an operator that is newer than this command knows more fields
        return f"{scaling.get('minReplicas', 1)} to {scaling.get('maxReplicas', 10)} by the spec"
    because = dict.fromkeys(why for why in (found.low_why, found.high_why) if why)
    text = f"{found.low} to {found.high} allowed"
    return f"{text} ({', '.join(because)})" if because else text


def _rollout(status: Mapping[str, Any]) -> list[str]:
    rollout = status.get("rollout")
    if not rollout:
        return []
    return [f"  rollout  {status.get('candidate', '')}: {rollout['step']}, {rollout['why']}"]


def _claims(status: Mapping[str, Any]) -> list[str]:
    """Conditions that matter for the number of replicas, the others only where they are wrong."""
    found = []
    for one in status.get("conditions", []):
        is_wrong = (one["status"] == "True") == (one["type"] in ("Degraded", "BudgetLimited"))
        if one["type"] in SCALING_CLAIMS[:3] or (one["type"] in SCALING_CLAIMS and is_wrong):
            text = f"  {one['type']:<16} {one['status']:<7} {one['reason']}: {one['message']}"
            found.append(text.rstrip(": "))
    return found
