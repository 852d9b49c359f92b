"""`modelfleet bench autoscale`: compare autoscaling policies on a trace of requests.

`simulate.comparison` measures. This verb prints a table, and writes JSON and a picture on request.
Must never hide a policy that did well.
"""

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.cli.support.arguments import (
    UsageError,
    check_arguments,
    check_least,
    parser,
    service_of,
    skip_of,
)
from modelfleet.cli.support.exit import ended
from modelfleet.cli.support.trace_notes import notes, print_notes

if TYPE_CHECKING:
    from rich.table import Table

    from modelfleet.simulate.comparison import Case, Draw, Note, Outcome

    Measure = Callable[[Case, Sequence[Draw], Note], Sequence[Outcome]]

OURS = "modelfleet"
EVERY = "all"
WIDTH = 140
"""Characters of a table that does not go to a terminal."""


def bench(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names; returns the exit code."""
    if not arguments or arguments[0] != "autoscale":
        is_help = bool({"-h", "--help"} & set(arguments))
        out = sys.stdout if is_help else sys.stderr
        out.write("usage: modelfleet bench autoscale [OPTIONS]; see its --help\n")
        return 0 if is_help else 2
    chosen = _parser().parse_args(arguments[1:])
    return ended("bench autoscale", lambda: _autoscale(chosen))


def _parser() -> argparse.ArgumentParser:
    arguments = parser("bench autoscale", __doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument(
        "--fleet",
        type=Path,
        metavar="FILE",
        help="instead of --trace: t_seconds,model,execution_seconds, one row per request",
    )
    arguments.add_argument(
        "--policies", metavar="A,B", help="policies to compare (all); a wrong name prints the list"
    )
    arguments.add_argument("--seeds", type=int, default=3, metavar="N", help="number of draws (3)")
    arguments.add_argument(
        "--jobs", type=int, metavar="N", help="policies measured in parallel (one for each core)"
    )
    arguments.add_argument(
        "--least-replicas", type=int, metavar="N", help="minimum of each model (1; 0 with --fleet)"
    )
    return arguments


def _autoscale(chosen: argparse.Namespace) -> int:
    from modelfleet.simulate import report
    from modelfleet.simulate.comparison import draws
    from modelfleet.simulate.parallel import side_by_side

    policies = _policies(chosen.policies)
    case = _case(chosen)
    steps = len(case.seeds) + sum(count for count, _ in policies)
    with _progress(steps) as note:
        drawn = draws(case, note)
        tasks = [functools.partial(measure, case, drawn) for _, measure in policies]
        measured = side_by_side(tasks, chosen.jobs or os.cpu_count() or 1, note)
    outcomes = [outcome for of_policy in measured for outcome in of_policy]
    document = report.document(case, drawn, outcomes)
    _print(lambda width: report.fitting(document, case.most, width))
    if chosen.json:
        report.write_json(chosen.json, document)
    if chosen.plot:
        from modelfleet.simulate.plot import plot_policies

        plot_policies(document, chosen.plot)
    return 0


def _case(chosen: argparse.Namespace) -> "Case":
    """Return the case to measure.

    Raises `UsageError` or ValueError before any large array exists.
    """
    check_arguments(chosen)
    if (chosen.trace is None) == (chosen.fleet is None):
        raise UsageError("either --trace or --fleet is needed")
    for option, value in (("--jobs", chosen.jobs), ("--seeds", chosen.seeds)):
        if value is not None and value < 1:
            message = f"{option} must be at least 1: {value}"
            raise UsageError(message)
    return _one_model(chosen) if chosen.fleet is None else _fleet(chosen)


def _one_model(chosen: argparse.Namespace) -> "Case":
    from modelfleet.simulate.comparison import one_model
    from modelfleet.simulate.memory_limit import check_requests, check_slots
    from modelfleet.simulate.trace import never_falls, read_trace
    from modelfleet.simulate.world import MAX_REPLICAS

    least = check_least(1 if chosen.least_replicas is None else chosen.least_replicas, MAX_REPLICAS)
    read = read_trace(chosen.trace)
    trace = read.times(chosen.rate_times)
    check_requests([trace], str(chosen.trace), chosen.seeds, never_falls(read.counts))
    check_slots(chosen.slots, MAX_REPLICAS, chosen.seeds)
    skip = skip_of(chosen, trace.seconds)
    service = service_of(chosen, trace.mean_work_seconds())
    print_notes("bench autoscale", notes(chosen, [trace], skip))
    aim, seeds = chosen.aim_percent / 100, range(1, chosen.seeds + 1)
    return one_model(trace, service, aim, skip, seeds).keeping(least)


def _fleet(chosen: argparse.Namespace) -> "Case":
    from modelfleet.simulate.comparison import MAX_OF_SMALL, fleet
    from modelfleet.simulate.memory_limit import check_requests, check_slots
    from modelfleet.simulate.trace import read_fleet

    if chosen.rate_times != 1:
        raise UsageError("--rate-times goes with --trace, not with --fleet")
    least = check_least(chosen.least_replicas or 0, MAX_OF_SMALL)
    traces = list(read_fleet(chosen.fleet).values())
    check_requests(traces, str(chosen.fleet), chosen.seeds, is_rising=False)
    check_slots(chosen.slots, MAX_OF_SMALL, chosen.seeds * len(traces))
    skip = skip_of(chosen, traces[0].seconds)
    models = [(t, service_of(chosen, t.mean_work_seconds())) for t in traces]
    print_notes("bench autoscale", notes(chosen, traces, skip))
    aim, seeds = chosen.aim_percent / 100, range(1, chosen.seeds + 1)
    return fleet(chosen.fleet.stem, models, aim, skip, seeds).keeping(least)


def _policies(names: str | None) -> list[tuple[int, "Measure"]]:
    """Return the measurements in order, with the steps of each; raises `UsageError`."""
    from modelfleet.simulate.baselines import PEERS

    measures: dict[str, tuple[int, Measure]] = {
        OURS: (1, _ours),
        "static": (1, _static),
    }
    for peer in PEERS:
        measures[peer.name] = (1 + peer.size, functools.partial(_peer, peer.name))
    wanted = [n.strip() for n in (names or EVERY).split(",")]
    if wanted == [EVERY]:
        wanted = list(measures)
    unknown = [n for n in wanted if n not in measures]
    if unknown:
        message = f"no policy '{unknown[0]}'; there are {', '.join(measures)}"
        raise UsageError(message)
    return [measures[n] for n in wanted]


def _peer(name: str, case: "Case", drawn: Sequence["Draw"], note: "Note") -> Sequence["Outcome"]:
    """Measure a peer by its name: peers hold functions, which cannot be pickled."""
    from modelfleet.simulate.baselines import PEERS
    from modelfleet.simulate.comparison import best, default

    peer = next(p for p in PEERS if p.name == name)
    outcomes = [default(case, drawn, peer, note)]
    return outcomes if peer.size == 0 else [*outcomes, best(case, drawn, peer, note)]


def _static(case: "Case", drawn: Sequence["Draw"], note: "Note") -> Sequence["Outcome"]:
    from modelfleet.simulate.comparison import static

    return [static(case, drawn, note)]


def _ours(case: "Case", drawn: Sequence["Draw"], note: "Note") -> Sequence["Outcome"]:
    from modelfleet.simulate.comparison import shipped
    from modelfleet.simulate.shipped_scaler import ShippedScaler

    # With the same least number of replicas as the peers.
    outcome = shipped(case, drawn, functools.partial(ShippedScaler, least_replicas=case.least))
    note(OURS)
    return [outcome]


@contextlib.contextmanager
def _progress(steps: int) -> Iterator["Note"]:
    """Show a progress bar with the name of the last finished step; only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    text = TextColumn("{task.description}")
    with Progress(*columns, text, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("drawing requests", total=steps)
        yield lambda done: shown.update(task, description=done, advance=1)


def _print(table_of: "Callable[[int], Table]") -> None:
    """Print the table that `table_of` returns for the width of the terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(table_of(console.width))
