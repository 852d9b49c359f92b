"""``python -m tests.demo run|down``: the main job, live; and the end of what it left running.

Started by ``make demo`` and ``make demo-down``. Exit code 0 only if every phase happened, no
request failed, the objective was kept and the gateways' count is the generator's. An interrupt ends
the processes that the demo started; the cluster stays up, until ``down``. It can be run again.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import speed, stack
from tests.cluster.base import GATEWAY_NAMESPACE, GATEWAY_PORT, GATEWAY_SERVICE, ClusterError
from tests.cluster.console import say
from tests.cluster.native import build
from tests.cluster.paths import BUILD

from . import measure, specs, story
from .board import Board
from .cluster import DemoError, Kubernetes, folder
from .digits import FILES
from .picture import TIMELINE
from .prepare import prepare
from .remaining import FIRST_TIME, PHASES, PREPARING, Remaining
from .report import Report
from .specs import MODEL
from .store import ArtifactStore
from .totals import GatewayTotals
from .traffic import Traffic
from .watch import Seen

REPORT = BUILD / "demo-report.json"


def main(arguments: list[str]) -> int:
    """Run a verb and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("verb", choices=("run", "down"))
    parser.add_argument("--namespace", default="team-a", help="of the model (team-a)")
    parser.add_argument(
        "--no-install", action="store_true", help="use the operator and gateways that run there"
    )
    parser.add_argument(
        "--keep-cluster", action="store_true", help="with down: remove the models only"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.verb == "down":
            return down(options.namespace, keep_cluster=options.keep_cluster)
        return run(options.namespace, install=not options.no_install)
    except (DemoError, ClusterError) as error:
        say(f"error: {error}")
    except KeyboardInterrupt:
        say("interrupted; the cluster stays up (make demo-down ends it)")
    return 1


def run(namespace: str, *, install: bool) -> int:
    """Everything, from nothing to the report."""
    began = time.monotonic()
    remaining = expected(install=install)
    say(f"    demo | {remaining.said()}")
    kubernetes, models = prepare(install=install, remaining=remaining)
    store = lay_out(kubernetes, namespace, models)
    report = Report()
    plan = plan_of(kubernetes, namespace, models)
    say(f" machine | {speed.said()}; {remaining.said()}")
    rates = measure.measure(kubernetes, namespace, store.url(FILES["one"]), plan)
    report.rates = rates.to_json()
    report.phases["prepare"] = time.monotonic() - began
    stage = Ground(kubernetes, namespace, models, store, rates)
    perform(stage, {**plan, "objective_seconds": rates.objective_milliseconds / 1000}, report)
    report.phases["in all"] = time.monotonic() - began
    REPORT.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    return conclude(report, kubernetes, namespace)


def expected(*, install: bool) -> Remaining:
    """What is to be done, before anything is."""
    parts = {**PREPARING, **PHASES}
    if Kubernetes().provider.name == "native" and not build.is_there():
        parts |= FIRST_TIME
    if not install:
        parts = {name: each for name, each in parts.items() if name not in {"load", "install"}}
    return Remaining(parts, max(1.0, speed.times()))


def lay_out(kubernetes: Kubernetes, namespace: str, models: Path) -> ArtifactStore:
    """Namespace, artifacts, and no model of an earlier run."""
    kubernetes.namespace(namespace)
    in_namespace = ("-n", namespace)
    names = (MODEL, specs.UNKNOWN, specs.YARDSTICK)
    kubernetes.kubectl(*in_namespace, "delete", "mlmodel", *names, "--ignore-not-found")
    store = ArtifactStore(kubernetes, namespace)
    store.start()
    for file in FILES.values():
        store.put(file, (models / file).read_bytes())
    # Names of versions begin anew with a new model: none of the old ones may be left.
    for kind in ("mlmodelversions", "pods"):
        label = ("-l", f"modelfleet.dev/model={MODEL}")
        kubernetes.kubectl(*in_namespace, "wait", "--for=delete", kind, *label, stack.timeout(60))
    return store


def plan_of(kubernetes: Kubernetes, namespace: str, models: Path) -> dict[str, object]:
    """Where the generator sends what."""
    address = kubernetes.provider.service_address(GATEWAY_NAMESPACE, GATEWAY_SERVICE, GATEWAY_PORT)
    return {
        "url": f"http://{address}/v2/models/{MODEL}/infer",
        "host": f"{MODEL}.{namespace}.localhost",
        "questions": str(models / "questions.json"),
        "vouched": kubernetes.provider.name == "kind",
    }


@dataclass(frozen=True)
class Ground:
    """What the story stands on."""

    kubernetes: Kubernetes
    namespace: str
    models: Path
    store: ArtifactStore
    rates: measure.Rates


def perform(ground: Ground, plan: Mapping[str, object], report: Report) -> None:
    """The story, with everything that watches it; the report has what was seen, whatever came."""
    totals = GatewayTotals(ground.kubernetes, ground.namespace, MODEL)
    seen = Seen(ground.kubernetes, ground.namespace)
    seen.start()
    traffic = Traffic(folder(), plan)
    try:
        with Board(seen, traffic) as board:
            stage = story.Stage(
                kubernetes=ground.kubernetes,
                namespace=ground.namespace,
                models=ground.models,
                seen=seen,
                traffic=traffic,
                board=board,
                store=ground.store,
                report=report,
                rates=ground.rates,
                factor=speed.factor(speed.times()),
            )
            try:
                story.tell(stage)
            except DemoError as error:
                report.error = f"{board.phase}: {error}"
            report.load = traffic.end()
            report.gateways = totals.end()
            TIMELINE.write_text(json.dumps(board.timeline), encoding="utf-8")
    finally:
        traffic.kill()
        seen.closed = True
    report.max_replicas = seen.most_ready
    report.pod_starts = seen.start_seconds()


def conclude(report: Report, kubernetes: Kubernetes, namespace: str) -> int:
    """Print the summary; gives the exit code."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="modelfleet demo", show_header=False)
    for name, value in report.lines():
        table.add_row(name, value)
    console = Console(highlight=False)
    console.print(table)
    faults = report.faults()
    for fault in faults:
        console.print(f"FAILED: {fault}", style="bold red", markup=False, soft_wrap=True)
    if not faults:
        console.print(
            "PASSED: every answer was the right digits of an allowed version, "
            f"{report.within() or 0:.1%} within the objective",
            soft_wrap=True,
        )
    console.print(f"\nreport: {REPORT.relative_to(BUILD.parent)}; the cluster stays up:")
    console.print(f"  export KUBECONFIG={kubernetes.kubeconfig}", soft_wrap=True)
    console.print(f"  build/bin/kubectl -n {namespace} get mlmodels -w", soft_wrap=True)
    console.print("  make demo-down  # ends it")
    return 1 if faults else 0


def down(namespace: str, *, keep_cluster: bool) -> int:
    """Remove the models and, unless told otherwise, the cluster."""
    kubernetes = Kubernetes()
    if kubernetes.provider.status().running:
        names = (MODEL, specs.UNKNOWN)
        try:
            kubernetes.kubectl("-n", namespace, "delete", "mlmodel", *names, "--ignore-not-found")
            ArtifactStore(kubernetes, namespace).stop()
        except DemoError as error:
            say(f"models are left: {error}")
    if not keep_cluster:
        kubernetes.provider.down()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
