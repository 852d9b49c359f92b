"""`modelfleet bench autoscale`: policies against each other on a trace of requests.

Called by the command table. Prints a table, writes JSON and a picture if asked. Must never hide a
policy that did well.
"""

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.cli.options import UsageError, parser, service_of, skip_of

if TYPE_CHECKING:
    from modelfleet.simulate.bench import Case, Draw, Note, Outcome

    Measure = Callable[[Case, Sequence[Draw], Note], Sequence[Outcome]]

OURS = "modelfleet"
WIDTH = 140
"""Of a table that goes into a file."""


def bench(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names; returns the exit code."""
    if not arguments or arguments[0] != "autoscale":
        sys.stderr.write("usage: modelfleet bench autoscale --help\n")
        return 2
    chosen = _parser().parse_args(arguments[1:])
    try:
        return _autoscale(chosen)
    except (UsageError, ValueError, ImportError, OSError) as fault:
        sys.stderr.write(f"modelfleet bench autoscale: {fault}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    made = parser("bench autoscale", __doc__.split("\n", maxsplit=1)[0])
    made.add_argument(
        "--fleet",
        type=Path,
        metavar="FILE",
        help="instead of --trace: t_seconds,model,execution_seconds, one row per request",
    )
    made.add_argument("--policies", metavar="A,B", help="some of them; a wrong name lists all")
    made.add_argument("--seeds", type=int, default=3, metavar="N", help="draws of requests (3)")
    made.add_argument(
        "--jobs", type=int, metavar="N", help="policies measured side by side (one for each core)"
    )
    made.add_argument(
        "--least-replicas", type=int, metavar="N", help="of each model (1; 0 with --fleet)"
    )
    return made


def _autoscale(chosen: argparse.Namespace) -> int:
    from modelfleet.simulate import report
    from modelfleet.simulate.bench import draws
    from modelfleet.simulate.parallel import side_by_side

    policies = _policies(chosen.policies)
    case = _case(chosen)
    steps = len(case.seeds) + sum(count for count, _ in policies)
    with _progress(steps) as note:
        drawn = draws(case, note)
        tasks = [functools.partial(measure, case, drawn) for _, measure in policies]
        measured = side_by_side(tasks, chosen.jobs or os.cpu_count() or 1, note)
    outcomes = [outcome for found in measured for outcome in found]
    found = report.document(case, drawn, outcomes)
    _print(report.table(found))
    if chosen.json:
        report.write_json(chosen.json, found)
    if chosen.plot:
        from modelfleet.simulate.plot import plot_policies

        plot_policies(found, chosen.plot)
    return 0


def _case(chosen: argparse.Namespace) -> "Case":
    from modelfleet.simulate.bench import fleet, one_model
    from modelfleet.simulate.trace import read_fleet, read_trace

    if (chosen.trace is None) == (chosen.fleet is None):
        raise UsageError("either --trace or --fleet is needed")
    if chosen.jobs is not None and chosen.jobs < 1:
        raise UsageError("--jobs must be at least 1")
    seeds, aim = range(1, chosen.seeds + 1), chosen.aim_percent / 100
    if not seeds or not 0 < aim < 1:
        raise UsageError("--seeds must be at least 1, --aim-percent between 0 and 100")
    least = chosen.least_replicas
    if chosen.trace is not None:
        trace = read_trace(chosen.trace).times(chosen.rate_times)
        skip = skip_of(chosen, trace.seconds)
        service = service_of(chosen, trace.mean_work_seconds())
        case = one_model(trace, service, aim, skip, seeds)
        return case if least is None else case.keeping(least)
    traces = read_fleet(chosen.fleet)
    skip = skip_of(chosen, next(iter(traces.values())).seconds)
    models = [(t, service_of(chosen, t.mean_work_seconds())) for t in traces.values()]
    return fleet(chosen.fleet.stem, models, aim, skip, seeds).keeping(least or 0)


def _policies(names: str | None) -> list[tuple[int, "Measure"]]:
    """What to measure in how many steps, in order; raises `UsageError` for a strange name."""
    from modelfleet.simulate.baselines import PEERS

    known: dict[str, tuple[int, Measure]] = {
        OURS: (1, _ours),
        "static": (1, _static),
    }
    for peer in PEERS:
        known[peer.name] = (1 + peer.size, functools.partial(_peer, peer.name))
    wanted = list(known) if names is None else [n.strip() for n in names.split(",")]
    strange = [n for n in wanted if n not in known]
    if strange:
        message = f"no policy '{strange[0]}'; there are {', '.join(known)}"
        raise UsageError(message)
    return [known[n] for n in wanted]


def _peer(name: str, case: "Case", drawn: Sequence["Draw"], note: "Note") -> Sequence["Outcome"]:
    """By name, as peers are made of functions, which cannot be sent to another process."""
    from modelfleet.simulate.baselines import PEERS
    from modelfleet.simulate.bench import best, default

    peer = next(one for one in PEERS if one.name == name)
    found = [default(case, drawn, peer, note)]
    return found if peer.size == 0 else [*found, best(case, drawn, peer, note)]


def _static(case: "Case", drawn: Sequence["Draw"], note: "Note") -> Sequence["Outcome"]:
    from modelfleet.simulate.bench import static

    return [static(case, drawn, note)]


def _ours(case: "Case", drawn: Sequence["Draw"], note: "Note") -> Sequence["Outcome"]:
    from modelfleet.simulate.bench import shipped
    from modelfleet.simulate.shipped import ShippedScaler

    # With the floor that the peers get.
    outcome = shipped(case, drawn, functools.partial(ShippedScaler, least_replicas=case.least))
    note(OURS)
    return [outcome]


@contextlib.contextmanager
def _progress(steps: int) -> Iterator["Note"]:
    """A bar on the terminal that says what was just finished; nothing where there is none."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    text = TextColumn("{task.description}")
    with Progress(*columns, text, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("drawing requests", total=steps)
        yield lambda done: shown.update(task, description=done, advance=1)


def _print(what: Any) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(what)
