"""`kubectl modelfleet list`: all models in one table, each with its state and the reason."""

import argparse
import sys
import time
from collections.abc import Sequence

from modelfleet.cli.support import cluster, output
from modelfleet.cli.support.exit import ended
from modelfleet.cli.support.model_state import age, state_of

TITLES = ("NAME", "STATE", "VERSION", "REPLICAS", "REASON", "MESSAGE")


def list_models(arguments: list[str]) -> int:
    """Print the models of a namespace."""
    parser = argparse.ArgumentParser("modelfleet list", description=__doc__)
    cluster.add_arguments(parser, all_namespaces=True)
    output.add_output(parser, wide=True)
    chosen = parser.parse_args(arguments)
    return ended("list", lambda: output.shown(lambda: _show(chosen), watch=chosen.watch))


def _show(chosen: argparse.Namespace) -> int:
    connection = cluster.Cluster(chosen.context)
    namespace = chosen.namespace or connection.namespace
    models = connection.models(None if chosen.all_namespaces else namespace)
    states = [state_of(model) for model in models]
    code = output.code_of([state.health for state in states]) if chosen.exit_code else 0
    if chosen.output in {"json", "yaml"}:
        text = output.structured(
            {"kind": "List", "apiVersion": "v1", "items": models}, chosen.output
        )
        sys.stdout.write(text)
        return code
    if not models:
        where = "any namespace" if chosen.all_namespaces else f"namespace {namespace}"
        sys.stderr.write(f"no models in {where}\n")
        return code
    is_wide = chosen.output == "wide"
    rows = table_of(models, time.time(), with_namespace=chosen.all_namespaces, is_wide=is_wide)
    output.table(rows, [state.health for state in states])
    return code


def table_of(
    models: Sequence[cluster.Json], now: float, *, with_namespace: bool, is_wide: bool
) -> list[tuple[str, ...]]:
    """Return the titles and one row for each model; `now` is in seconds since 1970."""
    rows = []
    for model in models:
        status, state = model.get("status") or {}, state_of(model)
        version = status.get("stable") or "-"
        if status.get("candidate"):
            version = f"{version} -> {status['candidate']}"
        more = (status.get("model") or "-", age(model, now)) if is_wide else ()
        rows.append(
            (
                *((model["metadata"]["namespace"],) if with_namespace else ()),
                model["metadata"]["name"],
                state.health,
                version,
                *more,
                _replicas(status),
                state.reason,
                state.message,
            )
        )
    more = ("MODEL", "AGE") if is_wide else ()
    titles = (*TITLES[:3], *more, *TITLES[3:])
    return [(("NAMESPACE",) if with_namespace else ()) + titles, *rows]


def _replicas(status: cluster.Json) -> str:
    """Return the replicas that are asked for, and what the autoscaler wants where it differs."""
    granted, want = status.get("replicas", 0), (status.get("scaling") or {}).get("want")
    return str(granted) if want is None or want == granted else f"{granted} (wants {want})"
